//! What simulated instances make of a shell script: `echo` writes, with `>&2` to the errors; `sleep N` takes time; `exit N`
//! ends it, `false` does so under `set -e`. Every other line is taken to work, and to say nothing.

use std::time::Duration;

/// How a script ends.
pub struct Outcome {
    pub code: i32,
    pub output: String,
    pub errors: String,
    pub takes: Duration,
    /// It took longer than it may.
    pub timed_out: bool,
}

/// Runs the lines of a script, for at most `longest`.
pub fn run(commands: &[&str], longest: Duration) -> Outcome {
    let mut outcome = Outcome {
        code: 0,
        output: String::new(),
        errors: String::new(),
        takes: Duration::from_secs(1),
        timed_out: false,
    };
    let mut strict = false;
    for line in commands.iter().flat_map(|command| command.lines()).map(str::trim) {
        let (word, rest) = line.split_once(' ').unwrap_or((line, ""));
        outcome.code = 0;
        match word {
            "" => {}
            "echo" => {
                let (text, to) = match rest.strip_suffix(">&2") {
                    Some(text) => (text, &mut outcome.errors),
                    None => (rest, &mut outcome.output),
                };
                to.push_str(text.trim().trim_matches(['"', '\'']));
                to.push('\n');
            }
            "sleep" => {
                let takes = Duration::from_secs(rest.trim().parse().unwrap_or_default());
                outcome.takes = outcome.takes.saturating_add(takes);
            }
            "exit" => {
                outcome.code = rest.trim().parse().unwrap_or_default();
                break;
            }
            "set" => strict |= rest.starts_with("-e"),
            "false" => {
                outcome.code = 1;
                if strict {
                    break;
                }
            }
            _ => {}
        }
    }
    if outcome.takes > longest {
        (outcome.takes, outcome.timed_out, outcome.code) = (longest, true, -1);
    }
    outcome
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(script: &str) -> (i32, String, String, u64, bool) {
        let Outcome { code, output, errors, takes, timed_out } = run(&[script], Duration::from_secs(60));
        (code, output, errors, takes.as_secs(), timed_out)
    }

    #[test]
    fn what_becomes_of_a_script() {
        let is = |code, output: &str, errors: &str, seconds, timed_out| {
            (code, output.to_owned(), errors.to_owned(), seconds, timed_out)
        };
        assert_eq!(of("systemctl restart shop\necho 'done'"), is(0, "done\n", "", 1, false));
        assert_eq!(of("echo no >&2\nexit 3\necho late"), is(3, "", "no\n", 1, false));
        assert_eq!(of("false\ntrue"), is(0, "", "", 1, false));
        assert_eq!(of("set -e\nfalse\necho late"), is(1, "", "", 1, false));
        assert_eq!(of("sleep 20"), is(0, "", "", 21, false));
        assert_eq!(of("sleep 100"), is(-1, "", "", 60, true));
    }
}
