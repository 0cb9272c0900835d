use super::*;

fn engine() -> Engine {
    Engine::builtin().unwrap_or_else(|e| panic!("{e}"))
}

#[test]
fn all_examples_hold() {
    let failures = engine().test_examples();
    let text: Vec<String> = failures.iter().map(ToString::to_string).collect();
    assert!(failures.is_empty(), "\n{}", text.join("\n"));
}
