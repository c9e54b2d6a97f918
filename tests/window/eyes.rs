//! What a program shows, read and pressed through the accessibility bus by `eyes.py`.

use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::desktop::{Desktop, Owned, PATIENCE};

/// Reads and presses what one program shows.
#[derive(Debug)]
pub struct Eyes {
    _process: Owned,
    questions: ChildStdin,
    answers: BufReader<ChildStdout>,
}

impl Eyes {
    pub fn of(desktop: &Desktop, program: &Child) -> Self {
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/window/eyes.py");
        // Debian's own python is the one that has pyatspi.
        let mut process = desktop
            .command("/usr/bin/python3")
            .arg(script)
            .arg(program.id().to_string())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("python3 is installed");
        let questions = process.stdin.take().expect("it is piped");
        let answers = BufReader::new(process.stdout.take().expect("it is piped"));
        Self {
            _process: Owned(process),
            questions,
            answers,
        }
    }

    fn ask(&mut self, command: &[&str]) -> Result<Value, String> {
        writeln!(self.questions, "{}", json!(command)).expect("the script waits for commands");
        let mut line = String::new();
        self.answers.read_line(&mut line).expect("the script answers");
        let mut answer: Value = serde_json::from_str(&line).expect("the script is there and answers in JSON");
        match answer["error"].as_str() {
            Some(error) => Err(error.to_owned()),
            None => Ok(answer["ok"].take()),
        }
    }

    fn strings(&mut self, command: &str) -> Vec<String> {
        match self.ask(&[command]) {
            Ok(answer) => {
                let items = answer.as_array().into_iter().flatten();
                items.filter_map(Value::as_str).map(str::to_owned).collect()
            }
            // What is told if it is waited for in vain: the program may not be there yet, or no more.
            Err(error) => vec![error],
        }
    }

    /// All texts that are drawn now.
    pub fn labels(&mut self) -> Vec<String> {
        self.strings("labels")
    }

    /// What can be pressed and does not say what it is.
    fn nameless(&mut self) -> Vec<String> {
        self.strings("nameless")
    }

    /// Waits until all that can be pressed says what it is: for a moment there may be other things than ours, such as
    /// the buttons of a file chooser that closes.
    pub fn wait_all_named(&mut self) {
        self.wait("a name on every button", |eyes| {
            eyes.nameless().is_empty().then_some(())
        });
    }

    /// The text beside a title, such as that of "Info-hash".
    pub fn value(&mut self, title: &str) -> Option<String> {
        let labels = self.labels();
        let at = labels.iter().position(|label| label == title)?;
        labels.get(at + 1).cloned()
    }

    /// Waits until this stands beside a title.
    pub fn wait_value(&mut self, title: &str, text: &str) {
        self.wait(&format!("{text} at {title}"), |eyes| {
            eyes.value(title).filter(|value| value == text)
        });
    }

    /// Waits for `seen` to find what it looks for.
    ///
    /// # Panics
    /// If that takes too long, with what is drawn instead.
    pub fn wait<T>(&mut self, what: &str, mut seen: impl FnMut(&mut Self) -> Option<T>) -> T {
        let start = Instant::now();
        loop {
            if let Some(found) = seen(self) {
                return found;
            }
            assert!(
                start.elapsed() < PATIENCE,
                "waited in vain for {what}; there is {:#?}, and without a name {:?}",
                self.labels(),
                self.nameless()
            );
            // The bus tells of no change that could be waited for instead.
            thread::sleep(Duration::from_millis(100));
        }
    }

    /// Waits for a text. The filters above the list have the names of the states, and do not count as those.
    pub fn wait_for(&mut self, text: &str) {
        self.wait(text, |eyes| {
            eyes.labels()
                .iter()
                .any(|label| label.contains(text) && !is_filter(label, text))
                .then_some(())
        });
    }

    /// Asks for a window that is not there. GTK 4.8 answers with one that is, or falls over one that nobody has seen.
    pub fn look_beyond(&mut self) {
        let answer = self.ask(&["beyond"]);
        answer.expect("the program answers, and goes on");
    }

    /// Presses a button or a tab, when it is there and can be pressed.
    pub fn press(&mut self, name: &str) {
        self.wait(name, |eyes| eyes.ask(&["press", name]).ok());
    }

    /// Presses the button that ends a file chooser until it is gone with it: the chooser does not heed it while it
    /// reads its folder.
    pub fn press_away(&mut self, name: &str) {
        self.press(name);
        self.wait(&format!("the end of {name}"), |eyes| eyes.press_again(name));
    }

    /// Whether there is nothing left to press.
    fn press_again(&mut self, name: &str) -> Option<()> {
        let error = self.ask(&["press", name]).err()?;
        error.contains("nothing called").then_some(())
    }

    /// Presses what opens a menu, and then an item of it.
    pub fn choose_from(&mut self, menu: &str, item: &str) {
        self.press(menu);
        // Before it is there something else of that name might be pressed.
        self.wait("the menu", |eyes| (!eyes.items().is_empty()).then_some(()));
        self.press(item);
        // The next press would close the menu that is still open.
        self.wait("the end of the menu", |eyes| {
            eyes.items().is_empty().then_some(())
        });
    }

    /// Chooses a file in the chooser of this title, when that is there.
    pub fn choose_file(&mut self, desktop: &Desktop, title: &str, path: &Path) {
        const ENTRY: &str = "GtkFileChooserEntry";
        let path = path.display().to_string();
        // A slash opens the chooser's entry for a path.
        desktop.keyboard(title, "type", "/");
        self.wait("the chooser's entry", |eyes| eyes.read(ENTRY));
        self.wait(&format!("the choice of {path}"), |eyes| {
            // The chooser clears the entry when it has read its first folder, whenever that may be.
            if eyes.read(ENTRY).is_some_and(|text| text != path) {
                let _ = eyes.ask(&["write", ENTRY, &path]);
                return None;
            }
            eyes.press_again("Choose")
        });
    }

    /// Whether a button can be pressed, if it is there.
    pub fn enabled(&mut self, name: &str) -> Option<bool> {
        self.ask(&["enabled", name]).ok()?.as_bool()
    }

    /// What is said of the control whose name begins so besides it.
    pub fn description(&mut self, name: &str) -> String {
        self.wait(name, |eyes| {
            let description = eyes.ask(&["description", name]).ok()?;
            description.as_str().map(str::to_owned)
        })
    }

    /// Waits until what has the keyboard is as described: its name and its kind, or the end of both.
    pub fn wait_focus(&mut self, on: &str) {
        self.wait(&format!("the keyboard at {on}"), |eyes| {
            let focused = eyes.focused()?;
            focused.ends_with(on).then_some(())
        });
    }

    /// What has the keyboard: its name and its kind.
    pub fn focused(&mut self) -> Option<String> {
        let on = self.ask(&["focused"]).ok()?;
        on.as_str().map(str::to_owned)
    }

    /// Waits for a picture whose name begins with one text and holds another.
    pub fn wait_image(&mut self, start: &str, part: &str) {
        self.wait(start, |eyes| {
            let mut images = eyes.strings("images").into_iter();
            images.find(|name| name.starts_with(start) && name.contains(part))
        });
    }

    /// Where the middle of the picture, check box, edge, row or number is in its window whose name begins so.
    pub fn place_of_drawn(&mut self, start: &str) -> (i64, i64) {
        self.wait(start, |eyes| {
            let place = eyes.ask(&["drawn", start]).ok()?;
            Some((place[0].as_i64()?, place[1].as_i64()?))
        })
    }

    /// Sets or takes off the mark of that name, in the window of this title. The keyboard is there, then.
    pub fn mark(&mut self, desktop: &Desktop, title: &str, name: &str) {
        let place = self.place_of_drawn(name);
        desktop.click(title, place);
    }

    /// The items of the menu that is open.
    pub fn items(&mut self) -> Vec<String> {
        self.strings("items")
    }

    /// Where the middle of a text is in its window.
    pub fn place(&mut self, text: &str) -> (i64, i64) {
        self.wait(text, |eyes| {
            let place = eyes.ask(&["place", text]).ok()?;
            Some((place[0].as_i64()?, place[1].as_i64()?))
        })
    }

    /// Waits until no text holds this one.
    pub fn wait_gone(&mut self, text: &str) {
        self.wait(&format!("the end of {text}"), |eyes| {
            (!eyes.labels().iter().any(|label| label.contains(text))).then_some(())
        });
    }

    /// Puts a text into the entry of that name, when it is there.
    pub fn write(&mut self, name: &str, text: &str) {
        self.wait(name, |eyes| eyes.ask(&["write", name, text]).ok());
    }

    /// What the entry of that name holds.
    pub fn read(&mut self, name: &str) -> Option<String> {
        let text = self.ask(&["read", name]).ok()?;
        text.as_str().map(str::to_owned)
    }

    /// Runs an action of a window or an entry.
    pub fn action(&mut self, name: &str) {
        self.wait(name, |eyes| eyes.ask(&["action", name]).ok());
    }
}

/// Whether a label is the filter for a state: its name, and how many are in it.
fn is_filter(label: &str, state: &str) -> bool {
    let count = label.strip_prefix(state).and_then(|rest| rest.strip_prefix(' '));
    count.is_some_and(|count| count.parse::<usize>().is_ok())
}
