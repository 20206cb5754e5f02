//! F. The registry.

use std::process::Command;
use std::time::{Duration, Instant};

use crate::support::home::Home;
use crate::support::terminal::Terminal;

#[test]
fn whatever_becomes_of_the_registry_what_runs_goes_on_and_a_good_one_is_taken_up_again() {
    let home = Home::empty();
    let good = home.section("a", &[], &[], "");
    home.write(&good);
    home.must("services start a");
    let pid = home.pid("a").expect("it runs");
    let mut console = Terminal::console(&home);
    console.wait_for("Running 1/1");
    let file = home.registry();
    let clear = || match file.symlink_metadata() {
        Ok(found) if found.is_dir() => std::fs::remove_dir(&file).unwrap(),
        Ok(_) => std::fs::remove_file(&file).unwrap(),
        Err(_) => {}
    };
    let mut number = 0;
    let mut again = |console: &Terminal, what: &str| {
        clear();
        number += 1;
        home.write(&(good.clone() + &home.section(&format!("again{number}"), &[], &[], "")));
        console.wait(&format!("the good file after {what}"), || console.text().contains(&format!("again{number}")));
        assert_eq!(home.living("a"), [pid], "after {what}");
    };
    let says = |what: &str| {
        let begun = Instant::now();
        let output = home.types("services status a");
        assert!(begun.elapsed() < Duration::from_secs(5), "{what} is waited for");
        assert_eq!(output.status.code(), Some(2), "{what}: {}", String::from_utf8_lossy(&output.stderr));
        assert_eq!(home.living("a"), [pid], "{what}");
    };
    clear();
    std::fs::create_dir(&file).unwrap();
    says("a directory");
    again(&console, "a directory");
    clear();
    assert!(Command::new("mkfifo").arg(&file).status().unwrap().success());
    says("a FIFO");
    again(&console, "a FIFO");
    clear();
    std::fs::File::create(&file).unwrap().set_len(1 << 30).unwrap();
    says("a gigabyte");
    again(&console, "a gigabyte");
    std::fs::write(&file, "[services.a\n").unwrap();
    says("half a line");
    again(&console, "half a line");
    clear();
    says("nothing");
    again(&console, "nothing");
    // Without a service in it, what runs is kept, shown, and can be stopped.
    home.write("");
    console.wait_for("it runs on and can be stopped");
    assert_eq!(home.living("a"), [pid]);
    again(&console, "an empty file");
    console.press("\u{3}");
    assert_eq!(console.ended(), 0);
    home.assert_all_can_be_stopped();
}

#[test]
fn names_that_mean_something_elsewhere_are_refused_and_leave_no_file() {
    let home = Home::empty();
    let long = "x".repeat(300);
    let names = ["../x", "a/b", "", "-rf", &long, "🟢", "con\\u001b[2J", ".", "..", ".hidden", "a b", "a\\nb", "ä"];
    for name in names {
        home.write(&format!(
            "[services.\"{name}\"]\ntype = \"utility\"\ncategory = \"api\"\n[services.\"{name}\".deployment]\nmode = \"binary\"\n\
             [services.\"{name}\".deployment.binary]\nbinary_path = \"/bin/true\"\n"
        ));
        let output = home.types("services validate");
        let said = String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
        assert!(!output.status.success(), "{name:?}: {said}");
        assert!(!said.contains('\u{1b}'), "{name:?}: {said:?}");
        drop(home.types("platform start"));
        assert!(home.strays().is_empty(), "{name:?} was started");
    }
    let state = home.layout().state();
    let made = std::fs::read_dir(state).map_or(0, |entries| entries.count());
    assert!(made <= 1, "files were made for names that are none");
    assert!(!home.path("x.lock").exists() && !home.services_dir().join("x.lock").exists());
}
