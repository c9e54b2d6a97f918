//! A real browser without a screen, driven by `browser.py`.

use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::time::Duration;

use serde_json::{Value, json};

use super::process::require;
use super::stage::{Stage, wait_for};

/// Only a test that fails waits so long.
const LIMIT: Duration = Duration::from_secs(300);

/// Shows one page at a time. It ends when this is dropped.
#[derive(Debug)]
pub(crate) struct Browser {
    process: Child,
    /// Taken to tell the script that it is over.
    questions: Option<ChildStdin>,
    answers: BufReader<ChildStdout>,
}

impl Browser {
    /// Starts one with new and empty files of its own.
    pub(crate) fn start(stage: &Stage) -> Self {
        require("chromium", "chromium");
        require("chromedriver", "chromium-driver");
        require("setpriv", "util-linux");
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/support/browser.py");
        let log = std::fs::File::create(stage.log("browser")).unwrap();
        let home = stage.folder("browser-home");
        let mut process = Command::new(require("python3", "python3"))
            .arg(script)
            .arg(stage.folder("browser"))
            .env("HOME", home)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(log)
            .spawn()
            .unwrap();
        let questions = process.stdin.take();
        let answers = BufReader::new(process.stdout.take().unwrap());
        Self {
            process,
            questions,
            answers,
        }
    }

    /// Asks for one command of the script.
    pub(crate) fn ask(&mut self, command: &Value) -> Value {
        let questions = self.questions.as_mut().expect("it is taken at the end only");
        writeln!(questions, "{command}").unwrap();
        let mut line = String::new();
        self.answers.read_line(&mut line).unwrap();
        let mut answer: Value = serde_json::from_str(&line)
            .unwrap_or_else(|error| panic!("the browser's script has ended: {error}"));
        assert!(answer["error"].is_null(), "{command}: {}", answer["error"]);
        answer["ok"].take()
    }

    /// Shows a page.
    pub(crate) fn open(&mut self, url: &str) {
        self.ask(&json!(["open", url]));
    }

    /// What an expression of JavaScript is in the page.
    pub(crate) fn value(&mut self, expression: &str) -> Value {
        self.ask(&json!(["run", format!("return {expression};")]))
    }

    /// The same as text.
    pub(crate) fn text(&mut self, expression: &str) -> String {
        self.value(expression).as_str().unwrap_or_default().to_owned()
    }

    /// Waits until an expression is true.
    pub(crate) fn wait(&mut self, expression: &str) {
        wait_for(expression, LIMIT, || {
            (self.value(expression) == Value::Bool(true)).then_some(())
        });
    }

    /// Chooses an option in a drop-down as a person does.
    pub(crate) fn choose(&mut self, select: &str, value: &str) {
        self.ask(&json!(["click", format!("#{select} option[value=\"{value}\"]")]));
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        // The end of its input is the end of the script, and of the browser with it.
        drop(self.questions.take());
        let _ = self.process.wait();
    }
}
