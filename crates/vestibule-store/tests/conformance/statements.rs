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
    }
}

mod bad {
    vestibule_store::statements! {
        SCAN: hot = "SELECT name FROM things WHERE note = $1";
        UNKNOWN = "SELECT colour FROM things";
        GAP = "SELECT name FROM things WHERE thing_id = $2";
    }
}

on_both_engines! {
    good_statements_pass,
    bad_statements_are_named,
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
