"""The builders that are compared. Each builds the same folder and can tell its image's size and start it."""

import contextlib
import json
import os
import shutil
import socket
import subprocess
import time
import urllib.request

from measure import Failed, run

with socket.create_server(("127.0.0.1", 0)) as free:
    PORT = free.getsockname()[1]


def answer(body, seconds=30):
    """Asks the app that was started until it answers with `body`."""
    end = time.monotonic() + seconds
    while True:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{PORT}/", timeout=5) as response:
                found = response.read().decode()
            break
        except OSError as error:
            if time.monotonic() > end:
                raise Failed(f"the app does not answer: {error}") from error
            time.sleep(0.1)
    if body not in found and body.encode().hex() not in found:
        raise Failed(f"the app answers {found[:200]!r}, which lacks {body!r}")


def discard(path, aside):
    """Puts a path aside until the end: ext4 steps over deleted inodes, and the tool that runs next would pay."""
    if path.exists():
        aside.mkdir(parents=True, exist_ok=True)
        path.rename(aside / f"{time.monotonic_ns()}")


def layout_size(folder):
    """Compressed bytes of the layers of the only image of an OCI layout."""
    read = lambda digest: json.loads((folder / "blobs" / digest.replace(":", "/")).read_bytes())
    index = json.loads((folder / "index.json").read_bytes())
    manifest = read(index["manifests"][0]["digest"])
    while "manifests" in manifest:
        manifest = read(manifest["manifests"][0]["digest"])
    return sum(layer["size"] for layer in manifest["layers"])


class Rpack:
    """Keeps downloads, package caches and unpacked packages between runs of this script; results of builds never."""

    KEPT = ("blobs", "caches", "trees", "metadata", "locks")
    KEPT_TREES = ("deb-", "root-", "toolchain-")
    KEPT_METADATA = ("answer-", "packages-")

    name, daemons = "rpack", ()

    def __init__(self, work, program):
        self.work, self.program, self.store = work, program, work.path / "rpack-store"
        self.store.mkdir(exist_ok=True)

    def command(self, *arguments):
        return [self.program, "--store", self.store, *arguments]

    def build(self, app, cold=False):
        run(self.command("build", app.folder, "--name", app.name), self.work.log(app, self))

    def before_cold(self, app):
        """Nothing of this app but downloads and the package manager's cache; base layers from another app, as a base
        image is there for the others."""
        for path in self.store.iterdir():
            if path.name not in self.KEPT:
                discard(path, self.work.aside)
        for folder, kept in (("trees", self.KEPT_TREES), ("metadata", self.KEPT_METADATA)):
            for path in (self.store / folder).glob("*"):
                if not path.name.startswith(kept):
                    discard(path, self.work.aside)
        if app.neighbour:
            run(self.command("build", app.neighbour, "--name", "neighbour"))

    def after_round(self, app):
        pass

    def size(self, app):
        folder = self.work.run / "rpack-layout"
        run(self.command("build", app.folder, "--name", app.name, "-o", f"oci:{folder}"))
        size = layout_size(folder)
        shutil.rmtree(folder)
        return size

    @contextlib.contextmanager
    def started(self, app):
        command = list(map(str, self.command("run", "--port", PORT, f"{app.name}:latest")))
        path = self.work.run / "logs" / f"{app.name}-started.log"
        with open(path, "w") as log:
            process = subprocess.Popen(command, stdout=log, stderr=log)
        try:
            yield
        except Failed as error:
            raise Failed(f"{error}\n{path.read_text()[-2000:]}") from error
        finally:
            process.terminate()
            process.wait()

    def close(self):
        pass


class Peer:
    """Runs in the chroot; images are imported from the bases, secrets carry this machine's settings."""

    daemons = ()

    def __init__(self, work):
        self.work = work

    def chroot(self, *arguments, **options):
        return run(["chroot", self.work.chroot, *arguments], **options)

    def secrets(self):
        return [word for name, path in self.work.secrets.items() for word in ("--secret", f"id={name},src={path}")]

    def tag(self, app):
        return f"localhost/compare/{app.name}:latest"

    def before_cold(self, app):
        pass

    def size(self, app):
        """As `docker push` would send it: gzip at the tool's level."""
        folder = self.work.run / f"{self.name}-layout"
        self.write_layout(app, folder)
        size = layout_size(folder)
        shutil.rmtree(folder)
        return size

    def close(self):
        pass


class Buildah(Peer):
    """`published`: with a push to an OCI layout, as rpack's image is one; without, layers are not compressed."""

    def __init__(self, work, published=False):
        super().__init__(work)
        self.published = published
        self.name = "buildah-oci" if published else "buildah"
        self.root = work.run / self.name
        self.root.mkdir(parents=True)
        # buildah keeps its cache mounts below TMPDIR.
        (self.root / "tmp").mkdir()
        self.storage = ["--root", self.root / "storage", "--runroot", f"/run/{self.name}"]
        self.environment = {
            "PATH": "/usr/sbin:/usr/bin", "HOME": "/root", "TMPDIR": str(self.root / "tmp"),
            "CONTAINERS_CONF": str(work.containers_conf),
        }
        for base, archive in work.bases.items():
            self.podman("import", "--change", f"ENV PATH={base.path}", archive, base.image)

    def podman(self, *arguments):
        return self.chroot("podman", *self.storage, *arguments, env=self.environment)

    def build(self, app, cold=False):
        self.chroot(
            "buildah", *self.storage, "build", "--layers", "--jobs", "2", "--runtime", "runc", "--network", "host",
            *(["--no-cache"] if cold else []), *self.secrets(), "-f", app.dockerfile,
            "--ignorefile", app.ignore, "-t", self.tag(app), app.folder,
            env=self.environment, log=self.work.log(app, self),
        )
        if self.published:
            # The layout stays, so that a layer that is in it already is not compressed again.
            self.write_layout(app, self.root / f"published-{app.name}")

    def write_layout(self, app, folder):
        self.chroot(
            "buildah", *self.storage, "push", "--disable-compression=false", "--quiet", self.tag(app),
            f"oci:{folder}:latest", env=self.environment,
        )

    def after_round(self, app):
        # Without a name are also the images of the stages, which are what buildah caches.
        if app.large:
            self.podman("image", "prune", "-f")

    @contextlib.contextmanager
    def started(self, app):
        name = self.podman("run", "-d", "--rm", "--network", "host", "-e", f"PORT={PORT}", self.tag(app)).strip()
        try:
            yield
        finally:
            self.podman("rm", "-f", "-t", "2", name)


class Docker(Peer):
    """dockerd with BuildKit. As Debian ships it, layers are plain folders; `published`: containerd's store, and an OCI
    archive at the end, as rpack's image is an OCI layout."""

    def __init__(self, work, published=False):
        super().__init__(work)
        self.published = published
        self.name = "docker-oci" if published else "docker"
        self.root = work.run / self.name
        self.root.mkdir(parents=True)
        settings = self.root / "daemon.json"
        settings.write_text(json.dumps({"features": {"containerd-snapshotter": published}}))
        self.host = f"unix:///run/{self.name}.sock"
        self.environment = {
            "PATH": "/usr/sbin:/usr/bin", "HOME": "/root", "DOCKER_HOST": self.host,
            "BUILDX_NO_DEFAULT_ATTESTATIONS": "1", "DOCKER_CLI_HINTS": "false",
        }
        with open(work.run / f"{self.name}.log", "w") as log:
            # iptables and a bridge would outlive the daemon.
            command = [
                "dockerd", "--config-file", settings, "--data-root", self.root / "data",
                "--exec-root", f"/run/{self.name}", "--pidfile", f"/run/{self.name}.pid", "--host", self.host,
                "--iptables=false", "--bridge=none", "--cgroup-parent", work.cgroup,
            ]
            self.daemon = subprocess.Popen(
                ["chroot", str(work.chroot), *map(str, command)], stdout=log, stderr=log, env=self.environment
            )
        self.daemons = (self.daemon.pid,)
        self.wait()
        for base, archive in work.bases.items():
            self.docker("import", "--change", f"ENV PATH={base.path}", archive, base.image)

    def wait(self):
        for _ in range(200):
            with contextlib.suppress(Failed):
                self.docker("version")
                return
            if self.daemon.poll() is not None:
                break
            time.sleep(0.1)
        raise Failed("dockerd does not start:\n" + (self.work.run / f"{self.name}.log").read_text()[-3000:])

    def docker(self, *arguments, **options):
        return self.chroot("docker", *arguments, env=self.environment, **options)

    def build(self, app, cold=False):
        output = self.root / f"{app.name}.tar"
        self.docker(
            "build", "--network", "host", *(["--no-cache"] if cold else []), *self.secrets(), "-f", app.dockerfile,
            *(["--output", f"type=oci,dest={output}"] if self.published else ["-t", self.tag(app)]), app.folder,
            log=self.work.log(app, self),
        )

    def write_layout(self, app, folder):
        if self.published:
            folder.mkdir()
            run(["tar", "-xf", self.root / f"{app.name}.tar", "-C", folder])
            return
        archive = self.root / "saved.tar"
        self.docker("save", "-o", archive, self.tag(app))
        target = f"oci:{folder}:latest"
        self.chroot("skopeo", "copy", "--quiet", f"docker-archive:{archive}", target, env=self.environment)
        archive.unlink()

    def after_round(self, app):
        """Layers that no build can use again, for the source has changed, would fill the disk. Transferred sources and
        cache mounts stay."""
        self.docker("image", "prune", "-f")
        if app.large:
            self.docker("builder", "prune", "-f", "--filter", "type=regular")

    @contextlib.contextmanager
    def started(self, app):
        tag = self.tag(app)
        if self.published:
            archive = self.root / f"{app.name}.tar"
            tag = self.docker("load", "-q", "-i", archive).strip().rpartition(" ")[2]
        name = self.docker("run", "-d", "--network", "host", "-e", f"PORT={PORT}", tag).strip()
        try:
            yield
        finally:
            self.docker("rm", "-f", name)

    def close(self):
        self.daemon.terminate()
        try:
            self.daemon.wait(30)
        except subprocess.TimeoutExpired:
            self.daemon.kill()
            self.daemon.wait()


TOOLS = {
    "rpack": lambda work: Rpack(work, work.rpack),
    "buildah": Buildah,
    "docker": Docker,
    "buildah-oci": lambda work: Buildah(work, published=True),
    "docker-oci": lambda work: Docker(work, published=True),
}
