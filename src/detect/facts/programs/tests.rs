//! What programs write and where they listen, from small sources of each language.

use std::fs;

use super::super::Files;
use super::{Listen, Place, Programs, Write, read};
use crate::source::{self, Source};

fn source(files: &[(&str, &str)]) -> (tempfile::TempDir, Source) {
    let folder = tempfile::tempdir().unwrap();
    for (path, text) in files {
        let path = folder.path().join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }
    let source = source::read(folder.path(), &source::Options::default()).unwrap();
    (folder, source)
}

fn programs(files: &[(&str, &str)]) -> Programs {
    let (_folder, source) = source(files);
    read(&Files::new(&source, ""), None)
}

/// `FILE:LINE WHAT`, then `PATH` of what is written there, with a slash behind folders of data.
fn writes(files: &[(&str, &str)]) -> Vec<String> {
    let place = |place: &Place| format!(" {}{}", place.path, if place.whole { "/" } else { "" });
    let line = |write: &Write| {
        let places: String = write.places.iter().map(place).collect();
        format!("{}:{} {}{places}", write.file, write.line, write.what)
    };
    programs(files).writes.iter().map(line).collect()
}

/// `FILE:LINE HOST:PORT`.
fn listens(files: &[(&str, &str)]) -> Vec<String> {
    let line = |listen: &Listen| {
        let port = listen.port.map_or_else(String::new, |port| port.to_string());
        format!("{}:{} {}:{port}", listen.file, listen.line, listen.host)
    };
    programs(files).listens.iter().map(line).collect()
}

#[test]
fn python_shows_databases_files_and_folders() {
    let app = "\
import sqlite3
db = sqlite3.connect('shop.db')
memory = sqlite3.connect(':memory:')
engine = create_engine('sqlite:///data/app.db')
away = create_engine('sqlite:////var/lib/app.db')
with open('seen.txt', 'a') as f: pass
with open('config.json') as f: pass
os.makedirs(os.path.join(app.root_path, 'uploads'), exist_ok=True)
Path('/tmp/x').write_text('a')
logging.basicConfig(filename='app.log')
";
    let files = [("app.py", app), ("uploads/keep.txt", ""), ("shop.db", ""), ("tests/test_app.py", app)];
    assert_eq!(
        writes(&files),
        [
            "app.py:2 sqlite3.connect shop.db",
            "app.py:4 sqlite:///data/app.db data/",
            "app.py:6 open",
            "app.py:8 os.makedirs uploads/",
            "app.py:10 logging.basicConfig",
        ]
    );
}

#[test]
fn settings_of_django_and_databases_that_ship_in_folders_with_programs() {
    let settings =
        "DATABASES = {'default': {'ENGINE': 'django.db.backends.sqlite3', 'NAME': BASE / 'db.sqlite3'}}";
    let files = [("shop/settings.py", settings), ("shop/db.sqlite3", ""), ("manage.py", "")];
    assert_eq!(writes(&files), ["shop/settings.py:1 django.db.backends.sqlite3 shop shop/db.sqlite3"]);
}

#[test]
fn javascript_shows_calls_modules_and_schemas() {
    let server = "\
import Database from 'better-sqlite3'
// fs.writeFileSync('no')
const upload = multer({ dest: 'uploads/' })
fs.writeFile(path.join(__dirname, 'data', 'list.json'), text, done)
const says = \"fs.mkdirSync('x')\"
";
    let schema = "datasource db {\n  provider = \"sqlite\"\n  url = \"file:./dev.db\"\n}\n";
    let files = [
        ("server.js", server),
        ("data/list.json", "[]"),
        ("prisma/schema.prisma", schema),
        ("vite.config.js", "fs.writeFileSync('a')"),
    ];
    assert_eq!(
        writes(&files),
        [
            "prisma/schema.prisma:2 sqlite",
            "prisma/schema.prisma:3 file:./dev.db prisma",
            "server.js:1 better-sqlite3",
            "server.js:3 multer",
            "server.js:4 fs.writeFile data/",
        ]
    );
}

#[test]
fn go_shows_calls_and_drivers() {
    let main = "\
package main

func main() {
	db, err := sql.Open(\"sqlite3\", \"./data/shop.db\")
	other, err := sql.Open(\"postgres\", url)
	f, err := os.Create(\"out.csv\")
}
";
    assert_eq!(writes(&[("main.go", main)]), ["main.go:4 sql.Open data/", "main.go:6 os.Create"]);
}

#[test]
fn fixed_ports_and_addresses_are_found_in_their_usual_forms() {
    let files = [
        ("a.js", "const port = 3000\napp.listen(port, () => console.log(`on ${port}`))"),
        ("b.js", "const hostname = '127.0.0.1';\nserver.listen(4000, hostname, done);"),
        ("c.ts", "await app.listen({ port: 5000, host: '0.0.0.0' })"),
        ("d.mjs", "serve({ fetch: app.fetch, port: 8787 }, info => {})"),
        ("e.go", "package main\nfunc main() { http.ListenAndServe(\"localhost:9000\", nil) }"),
        ("f.go", "package main\nvar s = &http.Server{Addr: \":9001\"}"),
        ("g.py", "uvicorn.run(app, host='127.0.0.1', port=8001)\n"),
        ("h.py", "HTTPServer(('', 8002), Handler).serve_forever()\n"),
        ("i.py", "app.run(debug=True)\nmain.run(port=90)\n"),
        ("j.js", "app.listen(config.port); list.listen('change', 90)"),
    ];
    assert_eq!(
        listens(&files),
        [
            "a.js:2 :3000",
            "b.js:2 127.0.0.1:4000",
            "c.ts:1 0.0.0.0:5000",
            "d.mjs:1 :8787",
            "e.go:2 localhost:9000",
            "f.go:2 :9001",
            "g.py:1 127.0.0.1:8001",
            "h.py:1 :8002",
            "j.js:1 :90",
        ]
    );
    assert!(!programs(&files).reads_port);
}

#[test]
fn a_port_with_another_choice_is_not_fixed() {
    for (file, text) in [
        ("a.js", "const port = process.env.PORT || 3000\napp.listen(port)"),
        ("b.js", "const { PORT } = process.env; app.listen(PORT ?? 3000)"),
        ("c.go", "package main\nvar port = os.Getenv(\"PORT\")"),
        ("d.py", "port = int(os.environ.get('PORT', 8080))\nuvicorn.run(app, port=port)"),
        ("e.go", "package main\ntype Config struct { Port int `env:\"PORT\" default:\"8080\"` }"),
    ] {
        assert!(programs(&[(file, text)]).reads_port, "{file}");
        assert_eq!(listens(&[(file, text)]), [""; 0], "{file}");
    }
}
