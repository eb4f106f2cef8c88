//! Statements of all layers in, one value per key out.
//!
//! Invariants: a weaker layer never changes a value that a stronger one states; every value and every element of
//! a list has the origin of the statement it comes from.

use std::collections::BTreeMap;

use super::statement::{Edit, Statement, Value};
use super::{Command, Config, Origin, Resolved};

/// Merges `statements`, weakest first.
pub(super) fn merge(statements: Vec<Statement>) -> Config {
    let mut merged = Merged::default();
    for Statement { key, argument, value, origin } in statements {
        match value {
            Value::List(edit) => apply(merged.lists.entry(key.name).or_default(), edit),
            value => {
                let stated = merged.single.entry((key.name, argument.unwrap_or_default())).or_default();
                stated.push((origin, value));
            }
        }
    }
    merged.config()
}

fn apply(list: &mut Vec<Resolved<String>>, edit: Edit) {
    if let Some(elements) = edit.set {
        list.clear();
        add(list, elements);
    }
    list.retain(|element| !edit.remove.contains(&element.value));
    add(list, edit.add);
}

fn add(list: &mut Vec<Resolved<String>>, elements: Vec<(String, Origin)>) {
    for (value, origin) in elements {
        if !list.iter().any(|known| known.value == value) {
            list.push(Resolved { value, origin, passed_over: Vec::new() });
        }
    }
}

#[derive(Default)]
struct Merged {
    single: BTreeMap<(&'static str, String), Vec<(Origin, Value)>>,
    lists: BTreeMap<&'static str, Vec<Resolved<String>>>,
}

impl Merged {
    fn config(mut self) -> Config {
        Config {
            name: self.one("name", text),
            language: self.one("language", text),
            edition: self.one("edition", text),
            base: self.one("base.name", text),
            versions: self.map("runtime.TOOL.version", text),
            build_command: self.one("build.command", text),
            build_env: self.map("build.env.NAME", text),
            build_network: self
                .one("build.network", |value| Some(value == Value::Boolean(true)))
                .is_some_and(|network| network.value),
            build_packages: self.list("build.packages"),
            ignored_libraries: self.list("closure.ignore"),
            go_ldflags: self.one("go.ldflags", text),
            go_private: self.one("go.private", text),
            go_tags: self.one("go.tags", text),
            go_target: self.one("go.target", text),
            static_fallback: self.one("static.fallback", text),
            static_root: self.one("static.root", text),
            start: self.one("start.command", command),
            process: self.one("start.process", text),
            processes: self.map("process.NAME", command),
            runtime_env: self.map("runtime.env.NAME", text),
            runtime_packages: self.list("runtime.packages"),
            exclude: self.list("source.exclude"),
            include: self.list("source.include"),
            ports: self.ports(),
            user: self.one("image.user", text),
            writable: self.lists.remove("image.writable"),
            compression: self.one("image.compression", |value| text(value)?.parse().ok()),
            media_types: self.one("image.media-types", |value| text(value)?.parse().ok()),
            annotations: self.map("image.annotations.KEY", text),
            labels: self.map("image.labels.KEY", text),
            mirrors: self.map("mirror.ECOSYSTEM", text),
            base_build: self.one("base.build", text),
            base_runtime: self.one("base.runtime", text),
            insecure_registries: self.list("registry.insecure"),
            registry_mirrors: self.map("registry.mirrors.HOST", text),
            folder: std::path::PathBuf::new(),
            locked: self
                .one("locked", |value| Some(value == Value::Boolean(true)))
                .is_some_and(|locked| locked.value),
            strict: self
                .one("strict", |value| Some(value == Value::Boolean(true)))
                .is_some_and(|strict| strict.value),
            warnings: Vec::new(),
        }
    }

    fn one<T>(&mut self, name: &'static str, read: fn(Value) -> Option<T>) -> Option<Resolved<T>> {
        resolve(self.single.remove(&(name, String::new()))?, read)
    }

    fn map<T>(&self, name: &'static str, read: fn(Value) -> Option<T>) -> BTreeMap<String, Resolved<T>> {
        let entries = self.single.range((name, String::new())..).take_while(|((key, _), _)| *key == name);
        let stated = entries.map(|((_, argument), stated)| (argument.clone(), stated.clone()));
        stated.filter_map(|(argument, stated)| Some((argument, resolve(stated, read)?))).collect()
    }

    fn list(&mut self, name: &str) -> Vec<Resolved<String>> {
        self.lists.remove(name).unwrap_or_default()
    }

    fn ports(&mut self) -> Vec<Resolved<u16>> {
        let port = |element: Resolved<String>| {
            let value = element.value.parse().ok()?;
            Some(Resolved { value, origin: element.origin, passed_over: Vec::new() })
        };
        self.list("image.ports").into_iter().filter_map(port).collect()
    }
}

/// The last statement is in force; the others follow, strongest first.
fn resolve<T>(stated: Vec<(Origin, Value)>, read: fn(Value) -> Option<T>) -> Option<Resolved<T>> {
    let mut stated = stated.into_iter().rev().filter_map(|(origin, value)| Some((origin, read(value)?)));
    let (origin, value) = stated.next()?;
    Some(Resolved { value, origin, passed_over: stated.collect() })
}

fn text(value: Value) -> Option<String> {
    if let Value::Text(text) = value { Some(text) } else { None }
}

fn command(value: Value) -> Option<Command> {
    if let Value::Command(command) = value { Some(command) } else { None }
}
