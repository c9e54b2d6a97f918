//! What packagers take from each of the three programs: its manual page and its completions for shells, made of the
//! program's own definition of its arguments, so that they cannot differ from it. Layer 4.
//!
//! `PROGRAM --generate man|bash|zsh|fish` prints them; `make install` asks for them. The option is not shown by `--help`,
//! as it is of no use to others.

use std::ffi::OsString;
use std::io::{self, Write};
use std::process::ExitCode;

use clap::Command;
use clap_complete::Shell;
use clap_mangen::Man;
use clap_mangen::roff::{Roff, bold, roman};

const OPTION: &str = "--generate";

/// What is in the same place for all commands of a program.
#[derive(Debug, Clone, Copy)]
pub struct Manual {
    /// Files that the program reads and writes: each with what it is for.
    pub files: &'static [(&'static str, &'static str)],
    /// Other pages that belong to it.
    pub see_also: &'static str,
}

/// The files of the programs that are clients.
pub const CLIENT_FILES: &[(&str, &str)] = &[
    (
        "$XDG_CONFIG_HOME/dtorrent/config.toml",
        "settings, each explained where it stands",
    ),
    (
        "$XDG_STATE_HOME/dtorrent/",
        "the list of torrents, their progress, and the log",
    ),
];

/// Does what a packager asks for, if that is what the arguments (the program's name first) say; `None`: they do not.
pub fn generate(
    command: impl FnOnce() -> Command,
    manual: Manual,
    arguments: impl IntoIterator<Item = OsString>,
) -> Option<ExitCode> {
    let mut arguments = arguments.into_iter().skip(1);
    arguments.next().filter(|first| first == OPTION)?;
    let wanted = arguments.next().unwrap_or_default();
    let Some(text) = text(command(), manual, &wanted.to_string_lossy()) else {
        let _ = writeln!(io::stderr(), "{OPTION} is followed by man, bash, zsh or fish");
        return Some(ExitCode::from(2));
    };
    let printed = text.and_then(|text| io::stdout().write_all(&text));
    Some(printed.map_or(ExitCode::FAILURE, |()| ExitCode::SUCCESS))
}

fn text(mut command: Command, manual: Manual, wanted: &str) -> Option<io::Result<Vec<u8>>> {
    let shell = match wanted {
        "man" => return Some(page(command, manual)),
        "bash" => Shell::Bash,
        "zsh" => Shell::Zsh,
        "fish" => Shell::Fish,
        _ => return None,
    };
    let name = command.get_name().to_owned();
    // clap_complete 4.6 takes a dash in a program's name for the end of the program's name in bash, and then completes
    // no command's options. So bash knows the program by another name, but for the line that says what is completed.
    let known = if shell == Shell::Bash {
        name.replace('-', "_")
    } else {
        name.clone()
    };
    let mut text = Vec::new();
    clap_complete::generate(shell, &mut command, &known, &mut text);
    if known == name {
        return Some(Ok(text));
    }
    let text = String::from_utf8_lossy(&text).replace(&format!(" {known}\n"), &format!(" {name}\n"));
    Some(Ok(text.into_bytes()))
}

/// One page for a program and all of its commands.
fn page(mut command: Command, manual: Manual) -> io::Result<Vec<u8>> {
    command = command.disable_help_subcommand(true);
    command.build();
    let mut page = Vec::new();
    let man = Man::new(command.clone());
    man.render_title(&mut page)?;
    man.render_name_section(&mut page)?;
    man.render_synopsis_section(&mut page)?;
    man.render_description_section(&mut page)?;
    man.render_options_section(&mut page)?;
    for command in command.get_subcommands() {
        section_of(command).to_writer(&mut page)?;
        let man = Man::new(command.clone());
        man.render_synopsis_section(&mut page)?;
        man.render_options_section(&mut page)?;
        examples(command, &mut page)?;
    }
    examples(&command, &mut page)?;
    end(manual).to_writer(&mut page)?;
    Ok(page)
}

/// The head of what stands about one command.
fn section_of(command: &Command) -> Roff {
    let mut roff = Roff::new();
    let name = command.get_bin_name().unwrap_or(command.get_name());
    roff.control("SH", [name.to_uppercase().as_str()]);
    let about = command.get_long_about().or_else(|| command.get_about());
    roff.text([roman(about.map(ToString::to_string).unwrap_or_default())]);
    roff
}

/// The examples that end a help text, as they stand there.
fn examples(command: &Command, page: &mut Vec<u8>) -> io::Result<()> {
    let Some(help) = command.get_after_help().map(ToString::to_string) else {
        return Ok(());
    };
    let mut roff = Roff::new();
    for paragraph in help.trim().split("\n\n") {
        match paragraph.strip_prefix("Examples:\n") {
            Some(lines) => {
                roff.control("SH", ["EXAMPLES"]);
                roff.control("nf", []);
                lines.lines().for_each(|line| {
                    roff.text([roman(line)]);
                });
                roff.control("fi", []);
            }
            None => {
                roff.control("PP", []);
                roff.text([roman(paragraph)]);
            }
        }
    }
    roff.to_writer(page)
}

fn end(manual: Manual) -> Roff {
    let mut roff = Roff::new();
    roff.control("SH", ["FILES"]);
    for (file, purpose) in manual.files {
        roff.control("TP", []);
        roff.text([bold(*file)]);
        roff.text([roman(*purpose)]);
    }
    roff.control("SH", ["SEE ALSO"]);
    roff.text([roman(manual.see_also)]);
    roff
}

#[cfg(test)]
mod tests {
    use clap::Arg;

    use super::*;

    const MANUAL: Manual = Manual {
        files: &[("/etc/thing.toml", "its settings")],
        see_also: "other(1)",
    };

    fn command() -> Command {
        Command::new("thing").about("Does things").subcommand(
            Command::new("do")
                .about("Does one")
                .after_help("Examples:\n  thing do --fast")
                .arg(Arg::new("fast").long("fast").help("Sooner")),
        )
    }

    fn generated(wanted: &str) -> String {
        let text = text(command(), MANUAL, wanted).unwrap().unwrap();
        String::from_utf8(text).unwrap()
    }

    #[test]
    fn the_page_tells_of_commands_options_examples_and_files() {
        let page = generated("man");
        for said in [
            "Does things",
            "THING DO",
            r"\-\-fast",
            "Sooner",
            r"thing do \-\-fast",
            "/etc/thing.toml",
            "other(1)",
        ] {
            assert!(page.contains(said), "{said} is not in\n{page}");
        }
    }

    #[test]
    fn each_shell_completes_options_of_commands() {
        for shell in ["bash", "zsh", "fish"] {
            assert!(generated(shell).contains("fast"), "{shell}");
        }
    }

    #[test]
    fn other_arguments_are_the_programs_own() {
        let asked = |arguments: &[&str]| generate(command, MANUAL, arguments.iter().map(OsString::from));
        assert!(asked(&["thing", "do"]).is_none());
        assert!(asked(&["thing"]).is_none());
        assert!(asked(&["thing", "do", "--generate", "man"]).is_none());
        assert!(asked(&["thing", "--generate", "tea"]).is_some());
    }
}
