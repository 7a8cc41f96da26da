//! Tests that run one by one, in a program with a `main` of its own: because what they look at, or start, is the whole
//! process's or the whole machine's.

/// A test: its name, as the test harness would give it; the variable of the environment without which it is left out; and
/// what it does. Whatever fails in it panics, and so ends the program with a status of its own.
pub type Test = (&'static str, Option<&'static str>, fn());

/// Runs those whose name has one of the program's arguments in it, or all. `remedy` says how the variables come to be set.
/// The harness's own flags mean nothing here, but for the one by which programs ask what there is.
pub fn run(tests: &[Test], remedy: &str) {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let is_listed = arguments.iter().any(|argument| argument == "--list");
    let wanted: Vec<_> = arguments.iter().filter(|argument| !argument.starts_with('-')).collect();
    let (mut passed, mut ignored) = (0, 0);
    for (name, needs, test) in tests {
        if !wanted.is_empty() && !wanted.iter().any(|part| name.contains(part.as_str())) {
            continue;
        }
        if is_listed {
            println!("{name}: test");
        } else if let Some(variable) = needs.filter(|variable| std::env::var_os(variable).is_none()) {
            println!("test {name} ... ignored, without {variable}: {remedy}");
            ignored += 1;
        } else {
            test();
            println!("test {name} ... ok");
            passed += 1;
        }
    }
    if !is_listed {
        println!("\ntest result: ok. {passed} passed; 0 failed; {ignored} ignored");
    }
}
