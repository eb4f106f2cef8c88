"""What is made once and kept below the work folder: the chroot with the peers, base images, apps with their locks.

Bases hold what rpack's images are made of, by rpack's own plan: the same Debian packages from the same mirror, the
same Node.js and npm, the same uv. Addresses are those that rpack finds on this machine; they are written nowhere but
below the work folder.
"""

import base64
import dataclasses
import hashlib
import json
import os
import pathlib
import re
import shutil
import urllib.request

from measure import run, say

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parent.parent
TYPESCRIPT = ROOT / "tests/fixtures/apps/node-express-typescript"
KEYRING = "/usr/share/keyrings/debian-archive-keyring.gpg"
CERTIFICATES = pathlib.Path("/etc/ssl/certs/ca-certificates.crt")
PEERS = (
    "ca-certificates", "buildah", "crun", "runc", "docker.io", "docker-cli", "docker-buildx", "iptables", "iproute2",
    "podman", "skopeo", "netavark",
)
# What images of distributions leave out.
UNUSED = ("var/lib/apt", "var/cache", "usr/share/doc", "usr/share/man", "usr/share/info", "usr/share/locale")
# Raising a limit fails where root lacks the capability; these are below what any machine allows.
CONTAINERS_CONF = """[containers]
default_ulimits = ["nofile=20000:20000", "nproc=8192:8192"]
netns = "host"
[engine]
runtime = "runc"
cgroup_manager = "cgroupfs"
events_logger = "file"
"""
# Leaf packages, so that each adds one entry to a lock. Every round adds the next one.
NPM_ADDED = ("clsx@2.1.1", "dayjs@1.11.13", "mitt@3.0.1", "nanoid@5.0.9", "picocolors@1.1.1", "uuid@11.0.3",
             "lru-cache@11.0.2", "yocto-queue@1.1.1", "semver@7.6.3", "commander@12.1.0", "deepmerge@4.3.1",
             "klona@2.0.6")
PYTHON_ADDED = ("six==1.17.0", "idna==3.10", "attrs==24.2.0", "pytz==2024.2", "tabulate==0.9.0", "toolz==1.0.0",
                "cachetools==5.5.0", "iniconfig==2.0.0", "pluggy==1.5.0", "certifi==2024.8.30", "tomli==2.2.1",
                "zipp==3.21.0")


@dataclasses.dataclass(frozen=True)
class Base:
    name: str
    path: str

    @property
    def image(self):
        return f"localhost/compare/{self.name}:1"


def replace(path, text):
    """As editors do: another file in its place."""
    new = path.with_name(f"{path.name}.new")
    new.write_text(text)
    new.rename(path)


@dataclasses.dataclass
class App:
    """An app in the folder that all tools build. `source` is the file that changes: `marker` becomes another text."""

    name: str
    folder: pathlib.Path
    definition: pathlib.Path
    source: str
    marker: str
    neighbour: pathlib.Path
    added: pathlib.Path | None = None
    large: bool = False

    @property
    def dockerfile(self):
        return self.definition / "Dockerfile"

    @property
    def ignore(self):
        return self.definition / "Dockerfile.dockerignore"

    def __post_init__(self):
        self.original = (self.folder / self.source).read_text()
        assert self.marker in self.original, f"{self.source} lacks {self.marker}"
        # What the answer of the app contains.
        self.body = self.marker

    def change(self, text):
        replace(self.folder / self.source, self.original.replace(self.marker, text))
        self.body = text

    def add_dependency(self, number):
        for path in (self.added / str(number)).iterdir():
            replace(self.folder / path.name, path.read_text())


class Work:
    def __init__(self, path, rpack, rounds):
        self.path, self.rpack, self.rounds = path, rpack, rounds
        self.chroot = path / "chroot"
        self.run = path / "run"
        self.aside = path / "aside"
        self.prepared = path / "prepared"
        self.tools = path / "tools"
        self.cgroup = "rpack-compare"
        self.containers_conf = self.run / "containers.conf"
        self.secrets, self.bases = {}, {}

    def log(self, app, tool):
        return self.run / "logs" / f"{app.name}-{tool.name}.log"

    def prepare(self):
        run(["rm", "-rf", self.run, self.aside])
        for folder in (self.run, self.prepared, self.tools, self.path / "bases"):
            folder.mkdir(parents=True, exist_ok=True)
        self.containers_conf.write_text(CONTAINERS_CONF)
        found = json.loads(self.ask("doctor", "--json"))["endpoints"]
        self.endpoints = {name: endpoint["url"].rstrip("/") for name, endpoint in found.items()}
        self.mirrors = [
            f"deb [signed-by={KEYRING}] {self.endpoints['debian']} trixie main",
            f"deb [signed-by={KEYRING}] {self.endpoints['debian']} trixie-updates main",
            f"deb [signed-by={KEYRING}] {self.endpoints['debian-security']} trixie-security main",
        ]
        self.write_secrets()
        self.write_neighbours()
        self.make_chroot()

    def ask(self, *arguments):
        return run([self.rpack, "--store", self.path / "rpack-store", *arguments])

    def write_secrets(self):
        settings = {
            "npmrc": f"registry={self.endpoints['npm']}/\n",
            "uv.toml": f"index-url = {json.dumps(self.endpoints['pypi'])}\n",
            "certificates": CERTIFICATES.read_text(),
        }
        for name, text in settings.items():
            path = self.run / "secrets" / name
            path.parent.mkdir(exist_ok=True)
            path.write_text(text)
            self.secrets[name] = path

    def write_neighbours(self):
        """Small apps on the same bases: what any other app of the machine has put into rpack's store before."""
        self.node_neighbour = self.run / "neighbours" / "node"
        self.python_neighbour = self.run / "neighbours" / "python"
        server = 'require("node:http").createServer((_, to) => to.end("ok")).listen(process.env.PORT);\n'
        files = {
            self.node_neighbour / "package.json": '{"name": "neighbour", "scripts": {"start": "node server.js"}}\n',
            self.node_neighbour / "server.js": server,
            self.python_neighbour / "requirements.txt": "wheel==0.45.1\n",
            self.python_neighbour / "Procfile": "web: python app.py\n",
            self.python_neighbour / "app.py": "import time\ntime.sleep(1e9)\n",
        }
        for path, text in files.items():
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)

    def debootstrap(self, target, *arguments):
        run(["mmdebstrap", "--quiet", "--mode=root", "--format=directory", f"--keyring={KEYRING}", *arguments,
             "trixie", target, *self.mirrors])

    def make_chroot(self):
        if not (self.chroot / "usr/sbin/dockerd").exists():
            say("the chroot with docker and buildah, once")
            shutil.rmtree(self.chroot, ignore_errors=True)
            self.debootstrap(self.chroot, "--variant=minbase", "--include=" + ",".join(PEERS))
        # All of this lives in this process's own mount namespace and ends with it.
        mounts = [("--bind", self.chroot, self.chroot)]
        mounts += [("--rbind", f"/{name}", self.chroot / name) for name in ("proc", "sys", "dev")]
        inside = self.chroot / str(self.path).lstrip("/")
        inside.mkdir(parents=True, exist_ok=True)
        for how, source, target in mounts:
            run(["mount", how, source, target])
        run(["mount", "-t", "tmpfs", "tmpfs", self.chroot / "run"])
        # Only what the peers use: the whole folder would contain the chroot again.
        for name in ("run", "bases"):
            (inside / name).mkdir(exist_ok=True)
            run(["mount", "--bind", self.path / name, inside / name])
        shutil.copy("/etc/resolv.conf", self.chroot / "etc/resolv.conf")

    def toolchain(self, tool):
        """A package of npm's registry that rpack's plan names, unpacked."""
        folder = self.tools / f"{tool['name']}-{tool['version']}"
        if not folder.exists():
            say(f"{tool['name']} {tool['version']}, once")
            with urllib.request.urlopen(f"{self.endpoints['npm']}/{tool['path']}") as response:
                data = response.read()
            expected = "sha512-" + base64.b64encode(hashlib.sha512(data).digest()).decode()
            assert expected == tool["integrity"], tool["path"]
            archive = self.tools / "download.tgz"
            archive.write_bytes(data)
            partial = self.tools / "partial"
            shutil.rmtree(partial, ignore_errors=True)
            partial.mkdir()
            run(["tar", "--no-same-owner", "--strip-components=1", "-xzf", archive, "-C", partial])
            archive.unlink()
            partial.rename(folder)
        return folder

    def base(self, name, path, key, make):
        """A base image's archive, made by `make` unless one from the same packages is there."""
        digest = hashlib.sha256(json.dumps(key, sort_keys=True).encode()).hexdigest()[:16]
        archive = self.path / "bases" / f"{name}-{digest}.tar"
        if not archive.exists():
            say(f"base {name}, once")
            root = self.path / "bases" / "root"
            shutil.rmtree(root, ignore_errors=True)
            make(root)
            for rest in UNUSED:
                shutil.rmtree(root / rest, ignore_errors=True)
            run(["tar", "--numeric-owner", "--exclude=./dev/*", "-C", root, "-cf", f"{archive}.new", "."])
            os.rename(f"{archive}.new", archive)
            shutil.rmtree(root)
        self.bases[Base(name, path)] = archive

    def node_bases(self):
        plan = json.loads(self.ask("plan", TYPESCRIPT, "--json"))
        tools = {tool["name"]: tool for tool in plan["toolchains"]}
        self.node, self.npm = self.toolchain(tools["node"]), self.toolchain(tools["npm"])

        def build(root):
            self.debootstrap(root, "--variant=minbase", "--include=ca-certificates")
            shutil.copytree(self.node, root / "opt/node", symlinks=True)
            shutil.copytree(self.npm, root / "opt/npm", symlinks=True)
            for link, target in tools["npm"]["links"].items():
                (root / link.lstrip("/")).symlink_to(target)

        def runtime(root):
            self.extract(root, plan)
            (root / "opt/node/bin").mkdir(parents=True)
            shutil.copy(self.node / "bin/node", root / "opt/node/bin/node")

        self.base("node-build", "/opt/node/bin:/usr/sbin:/usr/bin", tools, build)
        self.base("node-run", "/opt/node/bin:/usr/bin", plan["runtime-root"], runtime)

    def python_bases(self):
        plan = json.loads(self.ask("plan", self.python_neighbour, "--json"))
        pins = "\n".join(text for step in plan["steps"] for text in step.get("files", {}).values())
        uv = re.search(r"^uv==(\S+)", pins, re.MULTILINE).group(1)

        def build(root):
            self.debootstrap(root, "--variant=minbase", "--include=ca-certificates,python3")
            run(["python3", "-m", "pip", "install", "--quiet", "--no-deps", "--only-binary=:all:", "--upgrade",
                 "--target", self.tools / "uv", f"uv=={uv}"])
            shutil.copy(self.tools / "uv/bin/uv", root / "usr/local/bin/uv")

        self.base("python-build", "/usr/local/bin:/usr/sbin:/usr/bin", uv, build)
        self.base("python-run", "/usr/bin", plan["runtime-root"], lambda root: self.extract(root, plan))

    def extract(self, root, plan):
        """The packages of rpack's runtime root, as distroless images have them: no package manager, no shell."""
        names = ",".join(package["name"] for package in plan["runtime-root"]["packages"])
        self.debootstrap(root, "--variant=extract", f"--include={names}")

    def run_npm(self, folder, *arguments):
        environment = {**os.environ, "PATH": f"{self.node}/bin:{os.environ['PATH']}"}
        run([self.node / "bin/node", self.npm / "bin/npm-cli.js", *arguments, "--no-audit", "--no-fund"],
            cwd=folder, env=environment)

    def lock(self, folder, *packages):
        """A lock as npm writes it where nothing else is said: with the address of each package."""
        self.run_npm(folder, "install", "--package-lock-only", "--ignore-scripts",
                     "--no-omit-lockfile-registry-resolved", *packages)

    def app(self, name):
        definition = HERE / "apps" / name
        sources = {
            "node": (definition, "greeting.js", "hello from node"),
            "typescript": (TYPESCRIPT, "src/server.ts", "hello typescript"),
            "python": (ROOT / "examples/python-flask", "app.py", "world"),
            "tree": (definition, "library/lodash/changed.js", "// the file that changes"),
        }
        origin, source, marker = sources[name]
        prepared = self.prepared / name
        if not prepared.exists():
            say(f"app {name}, once")
            partial = self.prepared / "partial"
            shutil.rmtree(partial, ignore_errors=True)
            ignored = shutil.ignore_patterns(
                "Dockerfile*", "expect.toml", "README.md", "package-lock.json", "library.json")
            shutil.copytree(origin, partial, ignore=ignored)
            if name == "tree":
                self.fill_library(definition, partial)
            if name in ("node", "typescript"):
                self.lock(partial)
            partial.rename(prepared)
        neighbour = self.python_neighbour if name == "python" else self.node_neighbour
        folder = self.run / "apps" / name
        # Links: nothing writes into a file that is there, what changes is replaced.
        shutil.copytree(prepared, folder, symlinks=True, copy_function=os.link)
        app = App(name, folder, self.definition(name), source, marker, neighbour, large=name == "tree")
        if name != "tree":
            app.added = self.prepared / f"{name}-added"
            self.write_added(app, prepared)
        return app

    def definition(self, name):
        """The Dockerfile where the chroot sees it."""
        target = self.run / "definitions" / name
        for file in (HERE / "apps" / name).glob("Dockerfile*"):
            target.mkdir(parents=True, exist_ok=True)
            shutil.copy(file, target)
        return target

    def fill_library(self, definition, folder):
        """Half a gigabyte of real packages, some 30,000 files, as source of the app."""
        library = self.prepared / "library"
        shutil.rmtree(library, ignore_errors=True)
        library.mkdir()
        shutil.copy(definition / "library.json", library / "package.json")
        self.run_npm(library, "install", "--ignore-scripts", "--omit=optional")
        shutil.rmtree(library / "node_modules/.bin")
        (library / "node_modules").rename(folder / "library")
        (folder / "library/lodash/changed.js").write_text("// the file that changes\n")
        shutil.rmtree(library)

    def write_added(self, app, prepared):
        """For each round the files of the app with one dependency more."""
        for number in range(self.rounds + 1):
            folder = app.added / str(number)
            if folder.exists():
                continue
            partial = self.prepared / "partial"
            shutil.rmtree(partial, ignore_errors=True)
            partial.mkdir()
            before = app.added / str(number - 1) if number else prepared
            if app.name == "python":
                text = (before / "requirements.txt").read_text()
                (partial / "requirements.txt").write_text(text.rstrip("\n") + f"\n{PYTHON_ADDED[number]}\n")
            else:
                for name in ("package.json", "package-lock.json"):
                    shutil.copy(before / name, partial / name)
                self.lock(partial, NPM_ADDED[number])
            app.added.mkdir(exist_ok=True)
            partial.rename(folder)

    def generated(self, name, files):
        """An app of that many source files, 100 in a folder."""
        folder = self.run / "apps" / name
        shutil.copytree(self.node_neighbour, folder)
        for number in range(files - 2):
            path = folder / "src" / f"part{number // 10000}" / f"group{number // 100 % 100}" / f"file{number}.js"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(f"exports.value = {number};\n" * 8)
        return App(name, folder, self.definition("tree"), "server.js", "ok", self.node_neighbour)
