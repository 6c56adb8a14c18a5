//! What looks like a secret in text, and is left out where text is shown: the value of a name that tells, of a flag, of an
//! `Authorization` header, the password of a URL, a private key.
//!
//! Whoever marks a value as secret is not left to this: it is shown nowhere. What only names a variable, `"$TOKEN"`, is
//! no secret, and a reviewer has to see it.

use std::ops::Range;

/// What stands where something was left out.
pub const NOT_SHOWN: &str = "(not shown)";
/// The same where it is known to be another one than before.
pub const CHANGED: &str = "(not shown, changed)";
const KEY: &str = "(a private key, not shown)";
const CHANGED_KEY: &str = "(a private key, not shown, changed)";

/// Parts of names whose values are left out.
const TELLING: [&str; 10] = [
    "password",
    "passwd",
    "passphrase",
    "secret",
    "token",
    "api_key",
    "apikey",
    "access_key",
    "private_key",
    "credential",
];

/// Short names that tell by themselves or as the last part of another: `pw`, `DB_PASS`. As a part of a word they are
/// everywhere.
const SHORT: [&str; 4] = ["pass", "pw", "pgpass", "sig"];

/// How keys begin that say what they are, and how long they are at least.
const SHAPES: [(&str, usize); 12] = [
    ("AKIA", 20),
    ("ASIA", 20),
    ("ghp_", 20),
    ("gho_", 20),
    ("ghs_", 20),
    ("github_pat_", 20),
    ("glpat-", 20),
    ("xoxb-", 20),
    ("xoxp-", 20),
    ("sk_live_", 20),
    ("AIza", 35),
    ("eyJ", 60),
];

/// Web addresses that let in whoever knows them, up to where the secret part begins.
const HOOKS: [&str; 3] = ["hooks.slack.com/services/", "discord.com/api/webhooks/", "webhook.office.com/webhookb2/"];

/// For text that a machine reads: scripts, settings.
const IN_TEXT: &[Rule] = &[authorization, url_passwords, flags, shapes, commands, assignments];
/// For sentences.
const IN_MESSAGES: &[Rule] = &[authorization, url_passwords, flags, shapes];

/// A line with its end, and where in it the secrets are, in their order.
struct Line<'a> {
    raw: &'a str,
    secrets: Vec<Range<usize>>,
    /// All of it is a private key.
    is_key: bool,
}

impl<'a> Line<'a> {
    /// Without the secrets. `is_other` says of which ones it is known that they changed.
    fn with(&self, is_other: impl Fn(usize) -> bool) -> String {
        let (mut shown, mut done) = (String::with_capacity(self.raw.len()), 0);
        for (nth, range) in self.secrets.iter().enumerate() {
            shown.push_str(&self.raw[done..range.start]);
            shown.push_str(match (self.is_key, is_other(nth)) {
                (false, false) => NOT_SHOWN,
                (false, true) => CHANGED,
                (true, false) => KEY,
                (true, true) => CHANGED_KEY,
            });
            done = range.end;
        }
        shown + &self.raw[done..]
    }

    fn shown(&self) -> String {
        self.with(|_| false)
    }

    fn secret(&self, nth: usize) -> Option<&'a str> {
        self.secrets.get(nth).map(|range| &self.raw[range.clone()])
    }

    /// What stands before a secret and says what it is: `--password`, `DB_PASSWORD=`, `https://web:`.
    fn label(&self, nth: usize) -> &'a str {
        let before = self.raw[..self.secrets[nth].start].trim_end();
        &before[before.rfind(char::is_whitespace).map_or(0, |at| at + 1)..]
    }
}

/// Text without what looks like a secret; its line breaks stay as they are.
pub fn without_secrets(text: &str) -> String {
    lines(text).iter().map(Line::shown).collect()
}

/// Two versions of a text without what looks like a secret. Where something that is left out changed, the second says so.
pub fn both_without_secrets(before: &str, after: &str) -> (String, String) {
    let old = lines(before);
    let old: Vec<(String, &Line<'_>)> = old.iter().map(|line| (line.shown(), line)).collect();
    let new = lines(after);
    (old.iter().map(|(shown, _)| shown.as_str()).collect(), new.iter().map(|line| compared(line, &old)).collect())
}

/// A line without its secrets, which says which ones the older text did not have in their place.
fn compared(line: &Line<'_>, old: &[(String, &Line<'_>)]) -> String {
    let shown = line.shown();
    let same: Vec<&Line<'_>> = old.iter().filter(|(old, _)| *old == shown).map(|(_, line)| *line).collect();
    if line.secrets.is_empty() || same.iter().any(|old| old.raw == line.raw) {
        return shown;
    }
    if same.is_empty() {
        // More than the secret changed, so what stands before it says what its place is.
        return line.with(|nth| {
            let places = old.iter().flat_map(|(_, old)| (0..old.secrets.len()).map(move |nth| (*old, nth)));
            let mut values = places.filter(|(old, at)| old.label(*at) == line.label(nth)).peekable();
            values.peek().is_some() && values.all(|(old, at)| old.secret(at) != line.secret(nth))
        });
    }
    let is_other = |nth: usize| same.iter().all(|old| old.secret(nth) != line.secret(nth));
    // Each of them may have been there, only not together.
    let none = !(0..line.secrets.len()).any(is_other);
    line.with(|nth| none || is_other(nth))
}

/// A message without what looks like a secret, whatever it is about: names that tell are left alone, since sentences
/// have them too.
pub fn in_message(text: &str) -> String {
    if !may_be_in(text) {
        return text.to_owned();
    }
    text.split_inclusive('\n').map(|line| cut(line, IN_MESSAGES)).collect()
}

/// Whether [`in_message`] could find something in a message.
pub fn may_be_in(text: &str) -> bool {
    let signs = ["://", "--", "uthorization", "UTHORIZATION"].into_iter();
    signs.chain(SHAPES.map(|(start, _)| start)).chain(HOOKS).any(|sign| text.contains(sign))
}

fn lines(text: &str) -> Vec<Line<'_>> {
    let mut lines = Vec::new();
    let mut rest = text;
    // Of the key of a YAML block that is a secret.
    let mut block: Option<usize> = None;
    while !rest.is_empty() {
        let key = private_key(rest);
        let length = key.unwrap_or_else(|| rest.find('\n').map_or(rest.len(), |at| at + 1));
        let (raw, more) = rest.split_at(length);
        let is_key = key.is_some();
        let whole = 0..raw.trim_end_matches(['\r', '\n']).len();
        let indent = raw.len() - raw.trim_start().len();
        block = block.filter(|of_key| indent > *of_key || raw.trim().is_empty());
        let secrets = match block {
            _ if is_key => vec![whole],
            Some(_) if raw.trim().is_empty() => Vec::new(),
            Some(_) => std::iter::once(indent..whole.end).collect(),
            None if begins_block(raw) => {
                block = Some(indent);
                Vec::new()
            }
            None => secrets(raw, IN_TEXT),
        };
        lines.push(Line { raw, secrets, is_key });
        rest = more;
    }
    lines
}

/// Whether the lines below, as far as they are indented, are the value of a name that tells: `password: |`.
fn begins_block(line: &str) -> bool {
    let pair = line.trim().trim_start_matches("- ").split_once(':');
    pair.is_some_and(|(name, value)| {
        let is_block = matches!(value.trim(), "|" | ">" | "|-" | ">-" | "|+" | ">+");
        is_block && tells(&plain(name.trim_matches(['"', '\''])))
    })
}

/// How long the private key is with which the text begins, to the end of its last line.
fn private_key(text: &str) -> Option<usize> {
    let is = |line: &str, word: &str| line.contains(word) && line.contains("PRIVATE KEY");
    let mut lines = text.split_inclusive('\n');
    let first = lines.next().filter(|line| is(line, "-----BEGIN"))?;
    let mut length = first.len();
    if is(first, "-----END") {
        return Some(length);
    }
    for line in lines {
        length += line.len();
        if is(line, "-----END") {
            break;
        }
    }
    Some(length)
}

/// Finds what to leave out of a line.
type Rule = fn(&str) -> Vec<Range<usize>>;

/// The line without what the rules find.
fn cut(line: &str, rules: &[Rule]) -> String {
    Line { raw: line, secrets: secrets(line, rules), is_key: false }.shown()
}

/// Where the secrets are that the rules find, the end of the line excepted: `hunter2` of `DB_PASSWORD=hunter2`.
fn secrets(line: &str, rules: &[Rule]) -> Vec<Range<usize>> {
    let body = line.trim_end_matches(['\r', '\n']);
    let mut found: Vec<Range<usize>> = rules.iter().flat_map(|rule| rule(body)).collect();
    found.retain(|range| !is_cut(&body[range.start..]) && is_secret(&body[range.clone()]));
    found.sort_by_key(|range| (range.start, range.end));
    let mut apart: Vec<Range<usize>> = Vec::with_capacity(found.len());
    for range in found {
        match apart.last_mut() {
            Some(last) if range.start < last.end => last.end = last.end.max(range.end),
            _ => apart.push(range),
        }
    }
    apart
}

/// Whether what is here was left out already: text may come this way twice.
fn is_cut(text: &str) -> bool {
    let text = text.trim_start_matches(['"', '\'']);
    text.starts_with(NOT_SHOWN) || text.starts_with(CHANGED)
}

/// Whether it is a value: not empty, not only the name of a variable.
fn is_secret(value: &str) -> bool {
    let bare = value.trim_matches(|c: char| c.is_whitespace() || matches!(c, '"' | '\'' | ',' | ';'));
    let name = |text: &str| !text.is_empty() && text.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
    let variable = bare.strip_prefix('$').is_some_and(|rest| {
        name(rest) || rest.strip_prefix('{').and_then(|rest| rest.strip_suffix('}')).is_some_and(name)
    });
    !bare.is_empty() && !variable
}

/// In lower case, with `_` for `-`: `DB-Password` is `db_password`.
fn plain(name: &str) -> String {
    name.to_ascii_lowercase().replace('-', "_")
}

/// Whether a name, as [`plain`] has it, is that of a secret.
fn tells(name: &str) -> bool {
    TELLING.iter().any(|telling| name.contains(telling))
        || SHORT.iter().any(|short| name == *short || name.ends_with(&format!("_{short}")))
        // `MYSQL_PWD`, not the folder `PWD`.
        || name.ends_with("_pwd")
}

/// Keys and web addresses that are known by how they look.
fn shapes(line: &str) -> Vec<Range<usize>> {
    let is_of_key = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.');
    let starts = |text: &str| line.match_indices(text).map(|(at, _)| at).collect::<Vec<_>>();
    let keys = SHAPES.iter().flat_map(|(start, least)| {
        let whole = starts(start).into_iter().map(|at| {
            let end = line[at..].find(|c| !is_of_key(c)).map_or(line.len(), |length| at + length);
            at..end
        });
        whole.filter(|key| key.len() >= *least && !line[..key.start].ends_with(is_of_key)).collect::<Vec<_>>()
    });
    let hooks = HOOKS.iter().flat_map(|hook| {
        starts(hook).into_iter().map(|at| {
            let start = at + hook.len();
            let end = line[start..].find(|c: char| c.is_whitespace() || matches!(c, '"' | '\'' | '`'));
            start..end.map_or(line.len(), |length| start + length)
        })
    });
    keys.chain(hooks).collect()
}

/// Values that commands take in their own ways: `mysql -phunter2`, `sshpass -p hunter2`, `echo hunter2 | passwd --stdin`,
/// `aws configure set aws_secret_access_key hunter2`, a line of `.netrc`.
fn commands(line: &str) -> Vec<Range<usize>> {
    let words: Vec<Range<usize>> = words(line).collect();
    let text = |nth: usize| words.get(nth).map_or("", |word| &line[word.clone()]);
    let is_there = |names: &[&str]| (0..words.len()).any(|nth| names.iter().any(|name| text(nth).ends_with(name)));
    let (attached, apart) = (
        is_there(&["mysql", "mysqldump", "mysqladmin", "mysqlimport", "mariadb", "mariadb-dump", "sshpass"]),
        is_there(&["sshpass"]),
    );
    let sets_password = line.contains('|') && is_there(&["passwd", "chpasswd"]);
    let mut found = Vec::new();
    for (nth, word) in words.iter().enumerate() {
        let next = || words.get(nth + 1).cloned();
        match text(nth) {
            "-p" if apart || is_there(&["docker", "podman"]) && line.contains(" login ") => found.extend(next()),
            "-a" if is_there(&["redis-cli"]) => found.extend(next()),
            "-k" if is_there(&["openssl"]) => found.extend(next()),
            flag if attached && flag.starts_with("-p") && !flag.starts_with("-p=") && flag.len() > 2 => {
                found.push(word.start + 2..word.end);
            }
            "echo" | "printf" if sets_password => {
                let from = next().map_or(line.len(), |next| next.start);
                let until = line[from..].find('|').map_or(line.len(), |at| from + at);
                found.push(from..from + line[from..until].trim_end().len());
            }
            "set" if tells(&plain(text(nth + 1))) => found.extend(words.get(nth + 2).cloned()),
            "password" if is_there(&["login"]) && is_there(&["machine"]) => found.extend(next()),
            _ => {}
        }
    }
    found
}

/// Values of names that tell, to the end of the line: a value may have blanks in it.
fn assignments(line: &str) -> Vec<Range<usize>> {
    let mut found = Vec::new();
    let separators: Vec<usize> = line.match_indices(['=', ':']).map(|(at, _)| at).collect();
    for (nth, &at) in separators.iter().enumerate() {
        let (name, value) = (name_before(&line[..at]), at + 1);
        let word = plain(&line[name.clone()]);
        // `arn:aws:secretsmanager:…:secret:web` has colons too.
        let quoted = line[..at].ends_with(['"', '\'']);
        let is_pair = nth == 0 || line[at..].starts_with('=') || quoted || line[value..].starts_with([' ', '\t']);
        if !is_pair || is_flag(line, &name) || !tells(&word) {
            continue;
        }
        let start = value + line[value..].len() - line[value..].trim_start().len();
        found.push(match line[..name.start].chars().next_back() {
            Some('?' | '&') => {
                start..start + line[start..].find(['&', '#', '"', '\'', ' ']).unwrap_or(line.len() - start)
            }
            // `-H "X-Api-Key: abc"`
            Some(quote @ ('"' | '\'')) if !quoted => closed(line, start..end_of_word(line, start, Some(quote))),
            _ => start..line.len(),
        });
    }
    found
}

/// Where the name is that a separator follows.
fn name_before(text: &str) -> Range<usize> {
    let end = text.trim_end_matches(['=', ':', '"', '\'', ' ']).len();
    let start = text[..end].rfind([' ', '\t', '"', '\'', ';', '&', '?', '{', ',', '=', ':']).map_or(0, |at| at + 1);
    start..end
}

fn is_flag(line: &str, name: &Range<usize>) -> bool {
    line[name.clone()].starts_with("--")
}

/// Values of flags: `--password hunter2`, `--token=abc`, and the password of `curl -u name:hunter2`.
fn flags(line: &str) -> Vec<Range<usize>> {
    let mut found = Vec::new();
    for word in words(line) {
        let text = &line[word.clone()];
        let (flag, given) = match text.split_once('=') {
            Some((flag, _)) => (flag, Some(word.start + flag.len() + 1..word.end)),
            None => (text, None),
        };
        let Some(value) = given.or_else(|| words(&line[word.end..]).next().map(|next| shifted(&next, word.end))) else {
            continue;
        };
        if flag.strip_prefix("--").is_some_and(asks_for_secret) {
            // A flag without a value is followed by another flag.
            if !line[value.clone()].starts_with('-') || text.contains('=') {
                found.push(value);
            }
        } else if matches!(flag, "-u" | "--user") && line.contains("curl") {
            found.extend(line[value.clone()].find(':').map(|at| closed(line, value.start + at + 1..value.end)));
        }
    }
    found
}

/// `--db-password` asks for one, `--secret-id` and `--password-file` do not.
fn asks_for_secret(flag: &str) -> bool {
    let flag = plain(flag);
    TELLING.iter().any(|telling| flag.ends_with(telling)) || flag == "pass" || flag == "credentials"
}

/// The range without the quote that ends it.
fn closed(line: &str, range: Range<usize>) -> Range<usize> {
    let text = line[range.clone()].trim_end_matches(['"', '\'']);
    range.start..range.start + text.len()
}

fn shifted(range: &Range<usize>, by: usize) -> Range<usize> {
    range.start + by..range.end + by
}

/// What a shell would take for words, quotes and all.
fn words(line: &str) -> impl Iterator<Item = Range<usize>> {
    let mut at = 0;
    std::iter::from_fn(move || {
        let start = at + line[at..].find(|c: char| !c.is_whitespace())?;
        at = end_of_word(line, start, None);
        Some(start..at)
    })
}

/// Where the word ends that begins, or goes on within a quote, at `start`.
fn end_of_word(line: &str, start: usize, mut quote: Option<char>) -> usize {
    let mut escaped = false;
    for (at, c) in line[start..].char_indices() {
        match quote {
            _ if escaped => escaped = false,
            Some('"') | None if c == '\\' => escaped = true,
            Some(open) if c == open => quote = None,
            Some(_) => {}
            None if c == '"' || c == '\'' => quote = Some(c),
            None if c.is_whitespace() => return start + at,
            None => {}
        }
    }
    line.len()
}

/// What follows the scheme of an `Authorization` header: `Bearer abc`, `Basic abc`.
fn authorization(line: &str) -> Vec<Range<usize>> {
    const HEADER: &str = "authorization";
    let lower = line.to_ascii_lowercase();
    let headers = lower.match_indices(HEADER).filter_map(|(at, _)| {
        let rest = &line[at + HEADER.len()..];
        let quoted = rest.trim_start_matches(['"', '\'']);
        let value = quoted.trim_start().strip_prefix([':', '='])?.trim_start().trim_start_matches(['"', '\'']);
        let start = line.len() - value.len();
        let word = value.find(|c: char| c.is_whitespace()).unwrap_or(value.len());
        // A scheme has letters only; without one all of it is the secret.
        let is_scheme = value[..word].bytes().all(|b| b.is_ascii_alphabetic()) && !value[word..].trim().is_empty();
        let scheme = if is_scheme { word } else { 0 };
        let start = start + scheme + value[scheme..].len() - value[scheme..].trim_start().len();
        let end = start + line[start..].find(['"', '\'']).unwrap_or(line.len() - start);
        Some(start..end)
    });
    headers.collect()
}

/// Passwords in `https://name:password@host`.
fn url_passwords(line: &str) -> Vec<Range<usize>> {
    let urls = line.match_indices("://").filter_map(|(at, separator)| {
        let start = at + separator.len();
        let rest = &line[start..];
        let blank = rest.find(|c: char| c.is_whitespace() || matches!(c, '"' | '\'' | '`' | '<' | '>' | '|'));
        let rest = &rest[..blank.unwrap_or(rest.len())];
        // A `/` in a password is wrong and common: the last `@` before a host counts, unless a path begins before it.
        let authority = rest.find(['/', '?', '#']).unwrap_or(rest.len());
        let host = rest[..authority].rfind('@').or_else(|| {
            let at = rest.find('@')?;
            // `https://host:8080/@scope/name` has a port.
            let port = rest[..authority].rsplit_once(':')?.1;
            (!port.is_empty() && !port.bytes().all(|b| b.is_ascii_digit())).then_some(at)
        })?;
        let colon = rest[..host].find(':')?;
        Some(start + colon + 1..start + host)
    });
    urls.collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn what_looks_like_a_secret_is_left_out() {
        let table = [
            ("export DB_PASSWORD=hunter2", "export DB_PASSWORD=(not shown)"),
            ("api-key: abc", "api-key: (not shown)"),
            ("\"clientSecret\": \"abc\",", "\"clientSecret\": (not shown)"),
            ("{\"user\": \"web\", \"password\":\"abc\"}", "{\"user\": \"web\", \"password\":(not shown)"),
            ("PORT=8080 DB_PASSWORD=hunter2 run", "PORT=8080 DB_PASSWORD=(not shown)"),
            ("psql postgres://web:hunter2@db:5432/shop", "psql postgres://web:(not shown)@db:5432/shop"),
            (
                "git clone \"https://ci:gh/p_1@example.com/a.git\"",
                "git clone \"https://ci:(not shown)@example.com/a.git\"",
            ),
            ("redis://:hunter2@cache", "redis://:(not shown)@cache"),
            ("url=https://a:p@ss@host/", "url=https://a:(not shown)@host/"),
            ("curl https://example.com/?token=abc&n=1", "curl https://example.com/?token=(not shown)&n=1"),
            ("Authorization: Bearer abc.def", "Authorization: Bearer (not shown)"),
            ("curl -H 'authorization: Basic YTpi' https://a", "curl -H 'authorization: Basic (not shown)' https://a"),
            ("{\"Authorization\": \"Bearer abc\", \"n\": 1}", "{\"Authorization\": \"Bearer (not shown)\", \"n\": 1}"),
            ("Authorization: abc123", "Authorization: (not shown)"),
            ("curl -H \"X-Api-Key: abc\" https://a", "curl -H \"X-Api-Key: (not shown)\" https://a"),
            ("start --password hunter2 --port 80", "start --password (not shown) --port 80"),
            ("start --db-password 'a b' x", "start --db-password (not shown) x"),
            ("start --token=abc --port=80", "start --token=(not shown) --port=80"),
            ("start --token=-abc", "start --token=(not shown)"),
            ("curl -u web:hunter2 https://a", "curl -u web:(not shown) https://a"),
            ("curl --user \"web:hunter2\" https://a", "curl --user \"web:(not shown)\" https://a"),
            ("mysql -u root -phunter2 shop", "mysql -u root -p(not shown) shop"),
            ("sshpass -p hunter2 ssh web", "sshpass -p (not shown) ssh web"),
            ("echo hunter2 | passwd --stdin web", "echo (not shown) | passwd --stdin web"),
            ("echo \"root:hunter 2\" | chpasswd", "echo (not shown) | chpasswd"),
            ("aws configure set aws_secret_access_key abc", "aws configure set aws_secret_access_key (not shown)"),
            ("machine a login web password hunter2", "machine a login web password (not shown)"),
            ("export PGPASS=hunter2", "export PGPASS=(not shown)"),
            ("MYSQL_PWD=hunter2", "MYSQL_PWD=(not shown)"),
            ("docker login -u web -p hunter2", "docker login -u web -p (not shown)"),
            ("redis-cli -a hunter2 ping", "redis-cli -a (not shown) ping"),
            ("password: |\n  hunter2\n  more\nport: 80", "password: |\n  (not shown)\n  (not shown)\nport: 80"),
            ("pw: hunter2", "pw: (not shown)"),
            ("DB_PASS=hunter2", "DB_PASS=(not shown)"),
            ("KEY=AKIAIOSFODNN7EXAMPLE x", "KEY=(not shown) x"),
            ("login ghp_0123456789abcdefghij", "login (not shown)"),
            (
                "curl https://hooks.slack.com/services/T0/B0/xyz -d a",
                "curl https://hooks.slack.com/services/(not shown) -d a",
            ),
        ];
        for (text, wanted) in table {
            assert_eq!(without_secrets(text), wanted);
            assert_eq!(without_secrets(wanted), wanted, "once more");
        }
        let key = "a\n-----BEGIN RSA PRIVATE KEY-----\nMII\n-----END RSA PRIVATE KEY-----\nb";
        assert_eq!(without_secrets(key), "a\n(a private key, not shown)\nb");
    }

    #[test]
    fn what_is_none_stays() {
        for text in [
            "PORT=8080",
            "password=",
            "# set the password below",
            "echo hello",
            "curl https://example.com:8080/a/b?c=d#e",
            "pip install https://example.com:8443/@scope/name",
            "git clone git@example.com:team/shop.git",
            "git clone ssh://git@example.com/team/shop.git",
            "mail --to a:b@example.com",
            "start --port 80 --verbose --name=web",
            "start --password --port 80",
            "start --password-file /run/db --token-ttl 60",
            "aws secretsmanager get-secret-value --secret-id arn:aws:secretsmanager:eu-central-1:1:secret:web",
            "start --password \"$DB_PASSWORD\" --token=${TOKEN}",
            "export TOKEN=\"$1\"",
            "curl -H \"Authorization: Bearer $TOKEN\" https://a",
            "postgres://web:$PASSWORD@db/shop",
            "docker run -u 1000:1000 web",
            "mkdir -p /srv/mysql",
            "mysql -p shop",
            "PWD=/srv",
            "docker run -p 80:80 web",
            "bypass: true",
            "passwd -l web",
            "aws configure set region eu-central-1",
            "cp AKIA ghp_x",
            "a\r\nb\n\nc",
        ] {
            assert_eq!(without_secrets(text), text);
        }
    }

    #[test]
    fn messages_keep_their_words() {
        assert_eq!(in_message("the token: it is there"), "the token: it is there");
        assert_eq!(in_message("a\npostgres://u:p@h/d failed\n"), "a\npostgres://u:(not shown)@h/d failed\n");
        assert_eq!(in_message("run --token abc"), "run --token (not shown)");
    }

    #[test]
    fn another_secret_is_said_to_be_another() {
        let (before, after) = both_without_secrets("A_TOKEN=x\nB_TOKEN=y\nC=1\n", "A_TOKEN=z\nB_TOKEN=y\nC=1\n");
        assert_eq!(before, "A_TOKEN=(not shown)\nB_TOKEN=(not shown)\nC=1\n");
        assert_eq!(after, "A_TOKEN=(not shown, changed)\nB_TOKEN=(not shown)\nC=1\n");
        let table = [
            (
                "start --v 1 --password a\n",
                "start --v 2 --password b\n",
                "start --v 2 --password (not shown, changed)\n",
            ),
            ("start --v 1 --password a\n", "start --v 2 --password a\n", "start --v 2 --password (not shown)\n"),
            ("start --v 1\n", "start --v 2 --password b\n", "start --v 2 --password (not shown)\n"),
            (
                "a --token x --password y",
                "a --token x --password z",
                "a --token (not shown) --password (not shown, changed)",
            ),
            ("V=1 A_TOKEN=x", "V=2 A_TOKEN=y", "V=2 A_TOKEN=(not shown, changed)"),
            ("a https://u:x@h/1", "a https://u:y@h/2", "a https://u:(not shown, changed)@h/2"),
        ];
        for (before, after, wanted) in table {
            assert_eq!(both_without_secrets(before, after).1, wanted);
        }
        let key = |inside: &str| format!("-----BEGIN PRIVATE KEY-----\n{inside}\n-----END PRIVATE KEY-----\n");
        let (before, after) = both_without_secrets(&key("a"), &key("b"));
        assert_eq!(
            (before.as_str(), after.as_str()),
            ("(a private key, not shown)\n", "(a private key, not shown, changed)\n")
        );
    }

    proptest! {
        /// Whatever stands around it, a secret of the kinds that are known is not in what is shown.
        #[test]
        fn no_secret_comes_through(secret in "[A-Za-z0-9_.~+]{6,20}", before in "[a-z ]{0,10}", after in "( [a-z=:/]{0,9})?") {
            let secret = format!("zq{secret}");
            for text in [
                format!("{before} --password {secret}{after}"),
                format!("{before} --api-key='{secret}'{after}"),
                format!("{before} \"https://web:{secret}@host/path\"{after}"),
                format!("{before} -H \"Authorization: Bearer {secret}\"{after}"),
                format!("{before} SOME_TOKEN={secret}{after}"),
            ] {
                let shown = without_secrets(&text);
                prop_assert!(!shown.contains(&secret), "{} of {}", shown, text);
                prop_assert_eq!(without_secrets(&shown), shown.clone(), "once more");
            }
        }

        /// Nothing is lost, and nothing panics, on text of any kind.
        #[test]
        fn any_text_keeps_its_lines(text in "(\\PC|[\r\n:=\"'@/-]|--token |://|authorization){0,60}") {
            let shown = without_secrets(&text);
            prop_assert_eq!(shown.matches('\n').count(), text.matches('\n').count());
            prop_assert!(in_message(&text).matches('\n').count() == text.matches('\n').count());
        }
    }
}
