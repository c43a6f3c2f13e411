//! What is alike and waits at the same time may go to the database together: each still gets its own answer and its own verdict.

use tokio::task::JoinSet;
use vestibule_store::db::{Db, DbError, Outcome, Unit};
use vestibule_store::values;

use crate::database::{MIGRATIONS, NOW};
use crate::support::{Place, on_both_engines};

/// Things that are fought for.
const THINGS: u8 = 20;
/// How many want each of them.
const RIVALS: u8 = 4;

mod sql {
    vestibule_store::statements! {
        ADD: many = "INSERT INTO things (thing_id, name, count, note) VALUES ($1, $2, $3, $4)";
        USE: many = "UPDATE things SET used_at = $2 WHERE thing_id = $1 AND used_at IS NULL";
        HOLD: many = "SELECT 1 FROM things WHERE thing_id = $1 AND count = $2 FOR SHARE";
        FIND: many = "SELECT name, count, note, used_at FROM things WHERE thing_id = $1 AND name <> $2";
        COUNT = "SELECT COUNT(*) FROM things";
    }
}

on_both_engines! {
    each_read_gets_its_own_answer,
    of_rivals_one_wins_and_the_others_leave_nothing,
    one_that_fails_takes_nobody_along,
    a_lost_hold_names_its_step,
    a_wrong_value_harms_nobody_else,
}

async fn ready(place: &Place) -> Db {
    let db = place.open().await;
    db.migrate(MIGRATIONS, NOW).await.expect("migrate");
    let mut unit = Unit::new();
    for number in 0..THINGS {
        unit = add(unit, number);
    }
    committed(&db, unit).await;
    db
}

fn id(number: u8) -> [u8; 16] {
    [number; 16]
}

/// Adds a thing; every third has no note, so that arrays hold NULL.
fn add(unit: Unit, number: u8) -> Unit {
    let note = (!number.is_multiple_of(3)).then(|| format!("note {number}"));
    let name = format!("thing {number}");
    unit.expect(
        &sql::ADD,
        1,
        values![id(number), name, i64::from(number), note],
    )
}

async fn committed(db: &Db, unit: Unit) {
    let outcome = db.commit(unit).await.expect("commit");
    assert!(matches!(outcome, Outcome::Committed(_)), "{outcome:?}");
}

async fn count(db: &Db) -> i64 {
    let row = db.query_one(&sql::COUNT, &[]).await.expect("query");
    row.expect("a row").int(0).expect("a number")
}

async fn each_read_gets_its_own_answer(place: &Place) {
    let db = ready(place).await;
    let mut tasks = JoinSet::new();
    for number in 0..240_u8 {
        let db = db.clone();
        tasks.spawn(async move {
            let found = db
                .query_one(&sql::FIND, &values![id(number), "another"])
                .await
                .expect("query");
            assert_eq!(found.is_some(), number < THINGS, "{number}");
            let Some(row) = found else { return };
            assert_eq!(row.text(0).expect("name"), format!("thing {number}"));
            assert_eq!(row.int(1).expect("count"), i64::from(number));
            assert_eq!(row.opt_text(2).expect("note").is_none(), number % 3 == 0);
            assert_eq!(row.opt_int(3).expect("used_at"), None);
        });
    }
    assert_eq!(tasks.join_all().await.len(), 240);
    db.close().await;
}

async fn of_rivals_one_wins_and_the_others_leave_nothing(place: &Place) {
    let db = ready(place).await;
    let mut tasks = JoinSet::new();
    for rival in 0..THINGS * RIVALS {
        let db = db.clone();
        let wanted = rival % THINGS;
        tasks.spawn(async move {
            let unit = Unit::new().expect(&sql::USE, 1, values![id(wanted), NOW]);
            let unit = add(unit, 100 + rival);
            let outcome = db.commit(unit).await.expect("commit");
            (wanted, matches!(outcome, Outcome::Committed(_)))
        });
    }
    let mut winners: Vec<u8> = tasks
        .join_all()
        .await
        .into_iter()
        .filter_map(|(wanted, won)| won.then_some(wanted))
        .collect();
    winners.sort_unstable();
    assert_eq!(winners, (0..THINGS).collect::<Vec<_>>());
    assert_eq!(
        count(&db).await,
        i64::from(THINGS) * 2,
        "a loser left something"
    );
    db.close().await;
}

async fn one_that_fails_takes_nobody_along(place: &Place) {
    let db = ready(place).await;
    let mut tasks = JoinSet::new();
    for number in 0..60_u8 {
        let db = db.clone();
        tasks.spawn(async move {
            // The first of them are there already.
            let result = db.commit(add(Unit::new(), number)).await;
            if number < THINGS {
                assert!(
                    matches!(result, Err(DbError::Conflict { .. })),
                    "{number}: {result:?}"
                );
            } else {
                assert!(matches!(result, Ok(Outcome::Committed(_))), "{result:?}");
            }
        });
    }
    tasks.join_all().await;
    assert_eq!(count(&db).await, 60);
    db.close().await;
}

async fn a_lost_hold_names_its_step(place: &Place) {
    let db = ready(place).await;
    let mut tasks = JoinSet::new();
    for number in 0..THINGS {
        let db = db.clone();
        tasks.spawn(async move {
            let is_right = number % 4 != 0;
            let wanted = i64::from(number) + i64::from(!is_right);
            let unit = add(Unit::new(), 100 + number);
            let unit = unit.expect(&sql::HOLD, 1, values![id(number), wanted]);
            match db.commit(unit).await.expect("commit") {
                Outcome::Committed(rows) => assert!(is_right && rows.len() == 2),
                Outcome::Lost { step } => assert!(!is_right && step == 1),
            }
        });
    }
    tasks.join_all().await;
    assert_eq!(count(&db).await, i64::from(THINGS) + 15);
    db.close().await;
}

async fn a_wrong_value_harms_nobody_else(place: &Place) {
    let db = ready(place).await;
    let mut tasks = JoinSet::new();
    for number in 0..THINGS {
        let db = db.clone();
        tasks.spawn(async move {
            let read = if number % 5 == 0 {
                // A number of values that fits nothing.
                db.query_one(&sql::FIND, &values![id(number)]).await
            } else {
                db.query_one(&sql::FIND, &values![id(number), "another"])
                    .await
            };
            assert_eq!(read.is_err(), number % 5 == 0, "{read:?}");
        });
    }
    tasks.join_all().await;
    db.close().await;
}
