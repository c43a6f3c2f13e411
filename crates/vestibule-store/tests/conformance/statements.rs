//! Statements are valid on both engines, and the hot ones read no whole table.

use vestibule_store::db::Sql;

use crate::database::{MIGRATIONS, NOW};
use crate::support::{Place, on_both_engines};

mod good {
    vestibule_store::statements! {
        BY_KEY: hot = "SELECT name FROM things WHERE thing_id = $1";
        BY_NAME: hot = "SELECT thing_id FROM things WHERE name = $2 AND used_at IS NOT DISTINCT FROM $1";
        ADD: hot = "INSERT INTO things (thing_id, name) VALUES ($1, $2) ON CONFLICT (name) DO NOTHING";
        MANY: hot = "SELECT t.name FROM things AS t WHERE t.thing_id IN ($1, $2, $3)";
        COMMON: hot = "WITH found AS (SELECT thing_id, COUNT(*) AS n FROM parts WHERE part_id = $1 GROUP BY thing_id)
            SELECT t.name, found.n FROM found JOIN things AS t ON t.thing_id = found.thing_id";
        LIST = "SELECT name FROM things ORDER BY name LIMIT $1";
        LOOK: many = "SELECT name FROM things WHERE thing_id = $1";
        HOLD: many = "SELECT 1 FROM things WHERE thing_id = $1 FOR SHARE";
        WRITE: many = "UPDATE things SET note = $2 WHERE thing_id = $1";
        INSERT: many = "INSERT INTO things (thing_id, name) VALUES ($1, $2)";
    }
}

mod bad {
    vestibule_store::statements! {
        SCAN: hot = "SELECT name FROM things WHERE note = $1";
        UNKNOWN = "SELECT colour FROM things";
        GAP = "SELECT name FROM things WHERE thing_id = $2";
    }
}

mod never_many {
    vestibule_store::statements! {
        UPSERT: many = "INSERT INTO things (thing_id, name) VALUES ($1, $2) ON CONFLICT (name) DO NOTHING";
        REMOVE: many = "DELETE FROM things WHERE thing_id = $1";
        TELL: many = "UPDATE things SET note = $2 WHERE thing_id = $1 RETURNING name";
    }
}

on_both_engines! {
    good_statements_pass,
    bad_statements_are_named,
    what_cannot_be_one_of_many_is_named,
}

async fn check(place: &Place, statements: &'static [Sql]) -> Vec<String> {
    let db = place.open().await;
    db.migrate(MIGRATIONS, NOW).await.expect("migrate");
    let complaints = db.check_statements(statements).await.expect("check");
    db.close().await;
    complaints
}

async fn good_statements_pass(place: &Place) {
    assert_eq!(check(place, good::ALL).await, Vec::<String>::new());
}

async fn bad_statements_are_named(place: &Place) {
    let complaints = check(place, bad::ALL).await;
    for name in ["SCAN", "UNKNOWN", "GAP"] {
        assert!(
            complaints.iter().any(|line| line.contains(name)),
            "{name} is not in {complaints:?}"
        );
    }
}

async fn what_cannot_be_one_of_many_is_named(place: &Place) {
    let complaints = check(place, never_many::ALL).await;
    // SQLite sends nothing over arrays and has nothing to say about it.
    let expected = match place {
        Place::Postgres { .. } => never_many::ALL.len(),
        Place::Sqlite { .. } => 0,
    };
    assert_eq!(complaints.len(), expected, "{complaints:?}");
}
