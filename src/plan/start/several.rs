//! Programs that run several commands: `run-s`, `concurrently`. An image starts one program and may have no shell, so
//! they are taken apart here.
//!
//! Commands one after another are a list, as if `&&` stood between them. Of commands at the same time, those that only
//! make files have been done by the build; when one is left, it is started, and else each is a process of its own.

use globset::GlobBuilder;

use super::super::Error;
use super::StartCommand;
use super::lexer;
use super::resolve::{Outcome, Place, Resolver, basename, is_called};
use super::rules::{Several, Takes};

/// The situation that a command starts more than one program.
pub(super) const SEVERAL: &str = "start/several";
/// The most commands that are looked at; each may call as many again.
const LIMIT: usize = 16;
/// What people call a program that answers requests, besides `web` itself.
const SERVERS: [&str; 6] = ["api", "app", "backend", "serve", "server", "web"];
/// How many scripts are followed to see what a command does.
const DEPTH: usize = 5;

/// One of the commands, with the name that it goes by.
#[derive(Debug, PartialEq, Eq)]
struct Part {
    name: String,
    line: String,
}

impl Resolver<'_> {
    /// The rule for a program that runs several commands.
    pub(super) fn several(&self, words: &[String]) -> Option<&Several> {
        self.commands.several.iter().find(|rule| is_called(&rule.words, words))
    }

    /// The words of a line with patterns of scripts (`run-p watch:*`), which a shell hands on as they are where no file
    /// is named so.
    pub(super) fn with_patterns(&self, text: &str) -> Option<Vec<String>> {
        let plain = |c: char| c.is_ascii_alphanumeric() || " -_:./@*".contains(c);
        let mut words: Vec<String> = text.split_whitespace().map(str::to_owned).collect();
        self.unwrap(&mut words);
        let takes_scripts = self.several(&words).is_some_and(|rule| rule.takes == Takes::Scripts);
        (takes_scripts && text.chars().all(plain)).then_some(words)
    }

    /// What `words`, which `rule` is about, come to.
    pub(super) fn follow_several(
        &self,
        rule: &Several,
        words: &[String],
        so_far: StartCommand,
        place: &Place,
        depth: usize,
    ) -> Result<Outcome, Error> {
        let parts = self.parts(rule, &words[rule.words.len()..]);
        let written = words.join(" ");
        let is_parallel =
            rule.parallel_with.as_ref().is_none_or(|options| words.iter().any(|word| options.contains(word)));
        if !is_parallel && !parts.is_empty() && parts.len() <= LIMIT {
            let lines: Vec<&str> = parts.iter().map(|part| part.line.as_str()).collect();
            return self.follow_line(&lines.join(" && "), &[], so_far, place, depth);
        }
        let (made, left): (Vec<&Part>, Vec<&Part>) =
            parts.iter().take(LIMIT).partition(|part| self.makes_files(&part.line, 0));
        if let [only] = left[..]
            && parts.len() <= LIMIT
        {
            let made: Vec<String> = made.iter().map(|part| format!("`{}`", part.line)).collect();
            let found = self.follow_line(&only.line, &[], so_far, place, depth)?;
            if made.is_empty() {
                return Ok(found);
            }
            let why = format!("starts a server beside what only makes files: {}", made.join(", "));
            return Ok(found.instead_of(error(&written, &why, place, Vec::new())));
        }
        let why = "starts several programs, and an image starts one";
        Ok(Outcome::Rejected(error(&written, why, place, vec![table(&left)])))
    }

    /// The commands that `words` name.
    fn parts(&self, rule: &Several, words: &[String]) -> Vec<Part> {
        let run = self.commands.run.first().map(|words| words.join(" ")).unwrap_or_default();
        let mut names = Vec::new();
        let mut parts: Vec<Part> = Vec::new();
        let mut words = words.iter();
        while let Some(word) = words.next() {
            if rule.valued.contains(word) {
                let value = words.next();
                if rule.names.contains(word) {
                    names.extend(value.into_iter().flat_map(|names| names.split(',')).map(str::to_owned));
                }
                continue;
            }
            if word.starts_with('-') || rule.takes == Takes::Nothing {
                continue;
            }
            let script = match rule.takes {
                Takes::Scripts => Some(word.as_str()),
                _ => {
                    word.split_once(':').filter(|(manager, _)| self.is_manager(manager)).map(|(_, name)| name)
                }
            };
            if let Some(script) = script {
                let called = self.scripts_of(script).into_iter();
                parts.extend(called.map(|(name, call)| Part { name, line: format!("{run} {call}") }));
            } else {
                let line = word.replace("$$", "$");
                let name = line.split_whitespace().next().map_or("", basename).to_owned();
                parts.push(Part { name, line });
            }
        }
        for (part, name) in parts.iter_mut().zip(names) {
            name.trim().clone_into(&mut part.name);
        }
        parts
    }

    /// Whether `npm` of `npm:build` is a program that runs scripts.
    fn is_manager(&self, word: &str) -> bool {
        self.commands.run.iter().any(|run| run.first().is_some_and(|first| first == word))
    }

    /// The names of the scripts that `text` means, and how each is called: `build:*` stands for several, `build -- -x`
    /// has arguments.
    fn scripts_of(&self, text: &str) -> Vec<(String, String)> {
        let (name, arguments) = text.split_once(' ').unwrap_or((text, ""));
        if !name.contains('*') {
            return vec![(name.to_owned(), text.to_owned())];
        }
        let glob = GlobBuilder::new(&name.replace(':', "/")).literal_separator(true).build();
        let Ok(glob) = glob.map(|glob| glob.compile_matcher()) else {
            return vec![(name.to_owned(), text.to_owned())];
        };
        let fit = self.scripts.keys().filter(|script| glob.is_match(script.replace(':', "/")));
        fit.map(|script| (script.clone(), format!("{script} {arguments}").trim().to_owned())).collect()
    }

    /// Whether a command only makes files, once or whenever a source changes.
    fn makes_files(&self, line: &str, depth: usize) -> bool {
        let Ok(mut words) = lexer::split(line).map(|line| line.argv) else { return false };
        self.unwrap(&mut words);
        if let Some((name, _)) = self.called_script(&words) {
            let script = self.scripts.get(&name);
            return depth < DEPTH && script.is_some_and(|line| self.makes_files(line, depth + 1));
        }
        let maker = self.commands.makers.iter().filter(|maker| is_called(maker, &words));
        let longest = maker.map(Vec::len).max().unwrap_or_default();
        longest > 0 && self.rejecting(&words).is_none_or(|rule| rule.words.len() <= longest)
    }
}

/// The commands as processes of `rpack.toml`.
fn table(parts: &[&Part]) -> String {
    let word = |name: &str| -> String {
        let name: String = name
            .chars()
            .map(|c| if c.is_ascii_alphanumeric() { c.to_ascii_lowercase() } else { '-' })
            .collect();
        name.trim_matches('-').to_owned()
    };
    let mut lines: Vec<(String, &str)> = Vec::new();
    for (index, part) in parts.iter().enumerate() {
        let name = word(&part.name);
        let is_free = !name.is_empty() && lines.iter().all(|(taken, _)| *taken != name);
        let name = if is_free { name } else { format!("process-{}", index + 1) };
        lines.push((name, &part.line));
    }
    if lines.is_empty() {
        lines = ["web", "worker"].map(|name| (name.to_owned(), "PROGRAM ARGUMENTS")).into();
    }
    if lines.iter().all(|(name, _)| name != "web") {
        let serves = |(name, _): &(String, &str)| SERVERS.contains(&name.rsplit('-').next().unwrap_or(name));
        let at = lines.iter().position(serves).unwrap_or_default();
        "web".clone_into(&mut lines[at].0);
    }
    let lines: Vec<String> = lines.iter().map(|(name, line)| format!("{name} = {line:?}")).collect();
    format!(
        "name the programs in rpack.toml; `web` is started, and the others by `rpack run IMAGE --process NAME`:\n\
         [process]\n{}",
        lines.join("\n")
    )
}

/// What is wrong with the command as it is written.
fn error(written: &str, why: &str, place: &Place, hints: Vec<String>) -> Error {
    Error::Start {
        id: SEVERAL,
        reason: format!("`{written}` ({}) {why}", place.origin),
        location: place.location.clone(),
        hints,
    }
}

#[cfg(test)]
mod tests {
    use super::{Part, table};

    #[test]
    fn processes_have_names_of_their_own_and_one_is_the_default() {
        let part = |name: &str, line: &str| Part { name: name.to_owned(), line: line.to_owned() };
        let parts = [part("API", "node api.js"), part("api", "node \"b c\".js"), part("*", "node d.js")];
        assert_eq!(
            table(&parts.iter().collect::<Vec<_>>()),
            "name the programs in rpack.toml; `web` is started, and the others by `rpack run IMAGE --process NAME`:\n\
             [process]\nweb = \"node api.js\"\nprocess-2 = \"node \\\"b c\\\".js\"\nprocess-3 = \"node d.js\""
        );
        assert_eq!(
            table(&[]).lines().skip(1).collect::<Vec<_>>(),
            ["[process]", "web = \"PROGRAM ARGUMENTS\"", "worker = \"PROGRAM ARGUMENTS\""]
        );
    }
}
