//! Values, guards, units, announcements, migrations and what happens when something breaks.

use std::time::Duration;

use tokio::task::JoinSet;
use tokio::time::timeout;
use vestibule_store::db::{Db, DbError, Migration, Outcome, Row, Sql, Unit, VALUE_BYTES_MAX};
use vestibule_store::values;

use crate::support::{Place, on_both_engines};

pub(crate) const NOW: i64 = 1_800_000_000;

pub(crate) const MIGRATIONS: &[Migration] = &[
    Migration {
        version: 1,
        name: "things",
        text: "CREATE TABLE things (
            thing_id BYTEA PRIMARY KEY,
            name TEXT NOT NULL,
            count BIGINT,
            secret BYTEA,
            note TEXT,
            used_at BIGINT
        );
        CREATE UNIQUE INDEX things_name ON things (name);",
    },
    Migration {
        version: 2,
        name: "parts",
        text: "CREATE TABLE parts (
            part_id BYTEA PRIMARY KEY,
            thing_id BYTEA NOT NULL REFERENCES things (thing_id)
        );
        CREATE INDEX parts_thing ON parts (thing_id);",
    },
];

mod sql {
    vestibule_store::statements! {
        ADD_THING = "INSERT INTO things (thing_id, name, count, secret, note) VALUES ($1, $2, $3, $4, $5)";
        ADD_IF_NEW = "INSERT INTO things (thing_id, name) VALUES ($1, $2) ON CONFLICT (name) DO NOTHING";
        ADD_PART = "INSERT INTO parts (part_id, thing_id) VALUES ($1, $2)";
        // The second parameter stands first: numbers count, not places.
        USE_THING = "UPDATE things SET used_at = $2 WHERE thing_id = $1 AND used_at IS NULL RETURNING name, used_at";
        COUNT_UP = "UPDATE things SET count = count + $2 WHERE thing_id = $1";
        RENAME_ALL = "UPDATE things SET name = name || $1 RETURNING name";
        FIND_THING = "SELECT name, count, secret, note, used_at, thing_id FROM things WHERE thing_id = $1";
        COUNT_THINGS = "SELECT COUNT(*) FROM things";
        LIST_THINGS = "SELECT name FROM things ORDER BY name";
    }
}

on_both_engines! {
    values_come_back_as_they_went,
    a_wrong_value_is_an_error,
    a_read_cannot_write,
    a_lost_guard_writes_nothing,
    a_guard_that_sees_too_many_rows_writes_nothing,
    a_single_statement_keeps_its_guard,
    returned_rows_come_by_step,
    an_error_writes_nothing,
    one_of_many_wins,
    many_units_are_all_counted,
    a_caller_who_left_breaks_nothing,
    what_is_acknowledged_is_there_after_opening_again,
    an_announcement_is_heard,
    migrations_run_once,
    a_changed_migration_is_refused,
    a_newer_schema_is_refused,
    a_failed_migration_leaves_nothing,
    after_close_nothing_is_done,
    a_ping_is_answered,
}

async fn ready(place: &Place) -> Db {
    let db = place.open().await;
    db.migrate(MIGRATIONS, NOW).await.expect("migrate");
    db
}

fn id(number: u8) -> [u8; 16] {
    [number; 16]
}

/// A unit that adds the thing with this number.
fn adding(number: u8) -> Unit {
    Unit::new().expect(
        &sql::ADD_THING,
        1,
        values![
            id(number),
            format!("thing {number}"),
            0_i64,
            None::<&[u8]>,
            None::<&str>
        ],
    )
}

async fn add(db: &Db, number: u8) {
    committed(db, adding(number)).await;
}

async fn committed(db: &Db, unit: Unit) -> Vec<Vec<Row>> {
    match db.commit(unit).await.expect("commit") {
        Outcome::Committed(rows) => rows,
        Outcome::Lost { step } => panic!("step {step} lost its guard"),
    }
}

async fn lost(db: &Db, unit: Unit) -> usize {
    match db.commit(unit).await.expect("commit") {
        Outcome::Committed(_) => panic!("the unit was committed"),
        Outcome::Lost { step } => step,
    }
}

async fn number(db: &Db, sql: &'static Sql) -> i64 {
    let row = db.query_one(sql, &[]).await.expect("query");
    row.expect("a row").int(0).expect("a number")
}

async fn things(db: &Db) -> i64 {
    number(db, &sql::COUNT_THINGS).await
}

async fn find(db: &Db, number: u8) -> Row {
    let row = db.query_one(&sql::FIND_THING, &values![id(number)]).await;
    row.expect("query").expect("a row")
}

async fn values_come_back_as_they_went(place: &Place) {
    let db = ready(place).await;
    let text = "Zoë \u{1f511} 'quoted' $1 ?";
    let unit = Unit::new()
        .expect(
            &sql::ADD_THING,
            1,
            values![id(1), text, i64::MAX, [7_u8; 32], ""],
        )
        .expect(
            &sql::ADD_THING,
            1,
            values![id(2), "second", i64::MIN, Vec::<u8>::new(), None::<String>],
        );
    committed(&db, unit).await;

    let row = find(&db, 1).await;
    assert_eq!(row.text(0).expect("name"), text);
    assert_eq!(row.int(1).expect("count"), i64::MAX);
    assert_eq!(row.digest(2).expect("secret"), [7; 32]);
    assert_eq!(row.opt_text(3).expect("note"), Some(""));
    assert_eq!(row.opt_int(4).expect("used_at"), None);
    assert_eq!(row.id(5).expect("id"), id(1));
    let row = find(&db, 2).await;
    assert_eq!(row.int(1).expect("count"), i64::MIN);
    assert_eq!(row.opt_blob(2).expect("secret"), Some(&[][..]));
    assert_eq!(row.opt_text(3).expect("note"), None);

    for (wrong, column) in [
        (row.int(0).map(drop), "name"),
        (row.text(3).map(drop), "note"),
        (row.digest(5).map(drop), "thing_id"),
        (row.opt_id(2).map(drop), "secret"),
        (row.text(1).map(drop), "count"),
        (row.int(9).map(drop), "9"),
    ] {
        match wrong {
            Err(DbError::Corrupt {
                statement,
                column: named,
                ..
            }) => {
                assert_eq!(named, column);
                assert!(statement.ends_with("sql::FIND_THING"), "{statement}");
            }
            other => panic!("{column}: {other:?}"),
        }
    }
    db.close().await;
}

async fn a_wrong_value_is_an_error(place: &Place) {
    let db = ready(place).await;
    let long = "x".repeat(VALUE_BYTES_MAX + 1);
    for name in ["with \0 inside", &long] {
        let unit = Unit::new().run(&sql::ADD_IF_NEW, values![id(1), name]);
        let error = db.commit(unit).await.expect_err("refused");
        assert!(matches!(error, DbError::Rejected { .. }), "{error}");
    }
    for unit in [
        Unit::new().run(&sql::ADD_IF_NEW, values![id(1)]),
        Unit::new().run(&sql::ADD_IF_NEW, values![id(1), "one", "more"]),
        Unit::new().run(
            &sql::ADD_THING,
            values![id(1), "n", "no number", None::<&[u8]>, ""],
        ),
        adding(1).run(&sql::ADD_PART, values![id(1), "no bytes"]),
        adding(1)
            .run(&sql::COUNT_UP, values![id(1), i64::MAX])
            .run(&sql::COUNT_UP, values![id(1), i64::MAX]),
    ] {
        let error = db.commit(unit).await.expect_err("refused");
        assert!(
            matches!(error, DbError::Rejected { .. } | DbError::Failed { .. }),
            "{error:?}"
        );
    }
    assert_eq!(things(&db).await, 0);
    let missing = db.query(&sql::FIND_THING, &[]).await.expect_err("refused");
    assert!(matches!(missing, DbError::Rejected { .. }), "{missing}");
    db.close().await;
}

async fn a_read_cannot_write(place: &Place) {
    let db = ready(place).await;
    add(&db, 1).await;
    let values = values![id(1), NOW];
    let error = db
        .query(&sql::USE_THING, &values)
        .await
        .expect_err("refused");
    assert!(matches!(error, DbError::Rejected { .. }), "{error}");
    assert_eq!(find(&db, 1).await.opt_int(4).expect("used_at"), None);
    db.close().await;
}

async fn a_lost_guard_writes_nothing(place: &Place) {
    let db = ready(place).await;
    add(&db, 1).await;
    let unit = || {
        Unit::new()
            .expect(&sql::COUNT_UP, 1, values![id(1), 1_i64])
            .expect(&sql::USE_THING, 1, values![id(1), NOW])
            .run(&sql::ADD_PART, values![id(9), id(1)])
    };
    committed(&db, unit()).await;
    assert_eq!(lost(&db, unit()).await, 1);
    assert_eq!(find(&db, 1).await.int(1).expect("count"), 1);

    // A lost guard leaves the connection fit for the next unit.
    assert_eq!(
        lost(
            &db,
            adding(2).expect(&sql::USE_THING, 1, values![id(3), NOW])
        )
        .await,
        1
    );
    add(&db, 2).await;
    assert_eq!(things(&db).await, 2);
    db.close().await;
}

async fn a_guard_that_sees_too_many_rows_writes_nothing(place: &Place) {
    let db = ready(place).await;
    committed(
        &db,
        adding(1).expect(&sql::ADD_IF_NEW, 1, values![id(2), "two"]),
    )
    .await;
    let unit = Unit::new().expect(&sql::RENAME_ALL, 1, values!["!"]);
    assert_eq!(lost(&db, unit).await, 0);
    assert_eq!(find(&db, 2).await.text(0).expect("name"), "two");
    db.close().await;
}

async fn a_single_statement_keeps_its_guard(place: &Place) {
    let db = ready(place).await;
    add(&db, 1).await;
    let once = || Unit::new().expect(&sql::ADD_IF_NEW, 1, values![id(2), "thing 1"]);
    assert_eq!(lost(&db, once()).await, 0);
    committed(
        &db,
        Unit::new().run(&sql::ADD_IF_NEW, values![id(2), "thing 1"]),
    )
    .await;
    assert_eq!(things(&db).await, 1);
    committed(&db, Unit::new()).await;
    db.close().await;
}

async fn returned_rows_come_by_step(place: &Place) {
    let db = ready(place).await;
    let unit = adding(1)
        .expect(&sql::ADD_IF_NEW, 1, values![id(2), "two"])
        .expect(&sql::USE_THING, 1, values![id(1), NOW])
        .expect(&sql::RENAME_ALL, 2, values!["!"]);
    let rows = committed(&db, unit).await;
    assert_eq!(rows.len(), 4);
    assert!(rows[0].is_empty() && rows[1].is_empty());
    assert_eq!(rows[2][0].text(0).expect("name"), "thing 1");
    assert_eq!(rows[2][0].int(1).expect("used_at"), NOW);
    let mut names: Vec<_> = rows[3]
        .iter()
        .map(|row| row.text(0).expect("name"))
        .collect();
    names.sort_unstable();
    assert_eq!(names, ["thing 1!", "two!"]);
    db.close().await;
}

async fn an_error_writes_nothing(place: &Place) {
    let db = ready(place).await;
    add(&db, 1).await;
    for unit in [
        adding(2).expect(
            &sql::ADD_THING,
            1,
            values![id(3), "thing 1", 0_i64, None::<&[u8]>, ""],
        ),
        adding(2).expect(&sql::ADD_PART, 1, values![id(9), id(8)]),
        adding(2).run(&sql::USE_THING, values![id(1), NOW]).expect(
            &sql::ADD_IF_NEW,
            1,
            values![id(1), "two"],
        ),
        adding(1),
    ] {
        let error = db.commit(unit).await.expect_err("a conflict");
        assert!(matches!(error, DbError::Conflict { .. }), "{error:?}");
    }
    assert_eq!(things(&db).await, 1);
    assert_eq!(find(&db, 1).await.opt_int(4).expect("used_at"), None);
    add(&db, 2).await;
    db.close().await;
}

async fn one_of_many_wins(place: &Place) {
    let db = ready(place).await;
    add(&db, 1).await;
    let mut tasks = JoinSet::new();
    for number in 0..64_u8 {
        let db = db.clone();
        tasks.spawn(async move {
            let unit = adding(number.saturating_add(100)).expect(
                &sql::USE_THING,
                1,
                values![id(1), i64::from(number)],
            );
            matches!(
                db.commit(unit).await.expect("commit"),
                Outcome::Committed(_)
            )
        });
    }
    let winners = tasks
        .join_all()
        .await
        .into_iter()
        .filter(|won| *won)
        .count();
    assert_eq!(winners, 1);
    assert_eq!(things(&db).await, 2, "the losers left something");
    db.close().await;
}

async fn many_units_are_all_counted(place: &Place) {
    let db = ready(place).await;
    add(&db, 1).await;
    let mut tasks = JoinSet::new();
    for task in 0..32_u8 {
        let db = db.clone();
        tasks.spawn(async move {
            for _ in 0..10 {
                let unit = Unit::new().expect(&sql::COUNT_UP, 1, values![id(1), 1_i64]);
                committed(&db, unit).await;
                // Between them, one that fails and one that loses.
                assert!(db.commit(adding(1)).await.is_err());
                let unit = Unit::new().run(&sql::COUNT_UP, values![id(1), 1_i64]);
                lost(&db, unit.expect(&sql::USE_THING, 1, values![id(99), NOW])).await;
            }
            add(&db, task.saturating_add(100)).await;
        });
    }
    tasks.join_all().await;
    assert_eq!(find(&db, 1).await.int(1).expect("count"), 320);
    assert_eq!(things(&db).await, 33);
    db.close().await;
}

async fn a_caller_who_left_breaks_nothing(place: &Place) {
    let db = ready(place).await;
    add(&db, 1).await;
    let mut tasks = JoinSet::new();
    for _ in 0..64 {
        let db = db.clone();
        tasks.spawn(async move {
            let unit = Unit::new()
                .expect(&sql::COUNT_UP, 1, values![id(1), 1_i64])
                .expect(&sql::COUNT_UP, 1, values![id(1), -1_i64]);
            // Given up at any moment: before it starts, or in the middle.
            let _ = timeout(Duration::from_micros(300), db.commit(unit)).await;
        });
    }
    tasks.join_all().await;
    committed(
        &db,
        Unit::new().expect(&sql::COUNT_UP, 1, values![id(1), 5_i64]),
    )
    .await;
    assert_eq!(find(&db, 1).await.int(1).expect("count"), 5);
    db.close().await;
}

async fn what_is_acknowledged_is_there_after_opening_again(place: &Place) {
    let db = ready(place).await;
    let mut tasks = JoinSet::new();
    for number in 0..100_u8 {
        let db = db.clone();
        tasks.spawn(async move { add(&db, number).await });
    }
    tasks.join_all().await;
    db.close().await;
    let again = place.open().await;
    assert_eq!(things(&again).await, 100);
    let rows = again
        .query_list(&sql::LIST_THINGS, &[])
        .await
        .expect("list");
    assert_eq!(rows.len(), 100);
    again.close().await;
}

async fn an_announcement_is_heard(place: &Place) {
    let db = ready(place).await;
    let mut changes = db.subscribe();
    // The first connection of the listener may announce itself.
    let _ = timeout(Duration::from_millis(300), changes.changed()).await;
    add(&db, 1).await;
    let silence = timeout(Duration::from_millis(100), changes.changed()).await;
    assert!(
        silence.is_err(),
        "a unit without an announcement was announced"
    );
    committed(&db, adding(2).announce()).await;
    let heard = timeout(Duration::from_secs(5), changes.changed()).await;
    heard.expect("the announcement");
    let unit = Unit::new().expect(&sql::USE_THING, 1, values![id(9), NOW]);
    // PostgreSQL tells us of our own announcement too.
    let _ = timeout(Duration::from_millis(200), changes.changed()).await;
    lost(&db, unit.announce()).await;
    let silence = timeout(Duration::from_millis(100), changes.changed()).await;
    assert!(silence.is_err(), "a lost unit was announced");
    db.close().await;
}

async fn migrations_run_once(place: &Place) {
    let db = place.open().await;
    let first = db.migrate(&MIGRATIONS[..1], NOW).await.expect("migrate");
    assert_eq!((first.applied, first.version), (1, 1));
    let (one, two) = tokio::join!(db.migrate(MIGRATIONS, NOW), db.migrate(MIGRATIONS, NOW));
    let applied = one.expect("migrate").applied + two.expect("migrate").applied;
    assert_eq!(applied, 1);
    let last = db.migrate(MIGRATIONS, NOW).await.expect("migrate");
    assert_eq!((last.applied, last.version), (0, 2));
    add(&db, 1).await;
    db.close().await;
}

async fn a_changed_migration_is_refused(place: &Place) {
    const CHANGED: &[Migration] = &[Migration {
        version: 1,
        name: "things",
        text: "CREATE TABLE things (thing_id BYTEA PRIMARY KEY);",
    }];
    const FALLING: &[Migration] = &[MIGRATIONS[1], MIGRATIONS[0]];
    let db = ready(place).await;
    for wrong in [CHANGED, FALLING] {
        let error = db.migrate(wrong, NOW).await.expect_err("refused");
        assert!(matches!(error, DbError::Schema(_)), "{error}");
    }
    db.close().await;
}

async fn a_newer_schema_is_refused(place: &Place) {
    let db = ready(place).await;
    let error = db
        .migrate(&MIGRATIONS[..1], NOW)
        .await
        .expect_err("refused");
    assert!(error.to_string().contains("newer"), "{error}");
    db.close().await;
}

async fn a_failed_migration_leaves_nothing(place: &Place) {
    const BROKEN: &[Migration] = &[
        MIGRATIONS[0],
        Migration {
            version: 2,
            name: "broken",
            text: "CREATE TABLE half (half_id BYTEA PRIMARY KEY); CREATE TABLE things (name TEXT);",
        },
    ];
    let db = place.open().await;
    let error = db.migrate(BROKEN, NOW).await.expect_err("broken");
    assert!(matches!(error, DbError::Schema(_)), "{error}");
    let done = db.migrate(MIGRATIONS, NOW).await.expect("migrate");
    assert_eq!((done.applied, done.version), (1, 2));
    add(&db, 1).await;
    db.close().await;
}

async fn after_close_nothing_is_done(place: &Place) {
    let db = ready(place).await;
    db.close().await;
    for error in [
        db.commit(adding(1)).await.expect_err("closed"),
        db.query(&sql::COUNT_THINGS, &[]).await.expect_err("closed"),
    ] {
        assert!(matches!(error, DbError::Unavailable(_)), "{error}");
    }
    db.close().await;
}

async fn a_ping_is_answered(place: &Place) {
    let db = place.open().await;
    db.ping().await.expect("a sign of life");
    db.close().await;
}

#[tokio::test]
async fn one_process_owns_the_file() {
    let place = Place::sqlite();
    let db = place.open().await;
    let Err(error) = Db::open(&place.options()).await else {
        panic!("the file was opened twice");
    };
    assert!(matches!(error, DbError::InUse { .. }), "{error}");
    assert!(error.to_string().contains("vestibule.lock"), "{error}");
    db.close().await;
    place.open().await.close().await;
}

#[cfg(unix)]
#[tokio::test]
async fn only_our_user_may_read_the_file() {
    use std::os::unix::fs::PermissionsExt;
    let place = Place::sqlite();
    let Place::Sqlite { folder } = &place else {
        panic!("not a folder");
    };
    let db = ready(&place).await;
    let files = std::fs::read_dir(folder.path()).expect("the folder");
    let mut count = 0;
    for file in files {
        let file = file.expect("a file");
        let mode = file.metadata().expect("its mode").permissions().mode();
        assert_eq!(mode & 0o777, 0o600, "{}", file.path().display());
        count += 1;
    }
    assert!(count >= 3, "database, log and lock");
    db.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn lost_connections_are_replaced() {
    let place = Place::postgres().await;
    let db = ready(&place).await;
    let Place::Postgres { name, .. } = &place else {
        panic!("no server");
    };
    add(&db, 1).await;
    let mut changes = db.subscribe();
    let _ = timeout(Duration::from_millis(300), changes.changed()).await;
    let end_all =
        format!("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{name}'");
    for number in 2..6_u8 {
        place.beside(&end_all).await;
        assert_eq!(things(&db).await, i64::from(number) - 1);
        let unit = adding(number).expect(&sql::COUNT_UP, 1, values![id(1), 1_i64]);
        committed(&db, unit).await;
    }
    let heard = timeout(Duration::from_secs(10), changes.changed()).await;
    heard.expect("the listener's return is announced");
    db.close().await;
}
