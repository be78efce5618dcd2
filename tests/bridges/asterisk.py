"""A real Asterisk with sipp, on loopback: installed where this machine allows it, else skipped.

`asterisk` and `sipp` of the machine are used where both are there (`apt-get install asterisk
sip-tester` on Ubuntu). Otherwise root of a Debian or Ubuntu unpacks them from the distribution's
archive into `build/bridges/root`, without touching the machine's own packages, and runs them by
chroot: Debian from its suite sid, since no stable Debian has had Asterisk since version 11.
"""

import fcntl
import os
import re
import shutil
import signal
import socket
import subprocess
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from local.parts import free_port
from local.stack import ROOT
from tests.support.client import eventually

PACKAGES = ("asterisk", "sip-tester", "python3", "dash", "coreutils", "libc-bin")
CACHE = ROOT / "build" / "bridges"
LAST = CACHE / "last"
INSTALL_SECONDS_MAX = 900
READY_SECONDS_MAX = 120.0
ENVIRONMENT = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL": "C.UTF-8", "TERM": "dumb"}
CONF = Path(__file__).parent / "conf"
EXAMPLES = ROOT / "docs" / "examples"


class NotInstalled(Exception):
    """Why Asterisk can not be run here."""


@dataclass(frozen=True, slots=True)
class Installation:
    """Where the programs are: `root` is the folder of a chroot, or `/`."""

    root: Path

    def command(self, *words: str) -> list[str]:
        """A command that runs a program of the installation."""
        return list(words) if self.root == Path("/") else ["chroot", str(self.root), *words]

    def inside(self, path: Path) -> str:
        """The name of a file as the installation's programs know it."""
        return str(Path("/") / path.relative_to(self.root))

    def version(self) -> str:
        """What Asterisk says of itself. Raises NotInstalled where it does not run."""
        texts = []
        for words in (("asterisk", "-V"), ("sipp", "-v"), ("python3", "-V")):
            try:
                done = subprocess.run(
                    self.command(*words), capture_output=True, text=True, timeout=60, check=False
                )
            except OSError as error:
                raise NotInstalled(f"{words[0]} does not start: {error}") from error
            found = re.search(r"Asterisk \S+|SIPp v[\d.]+|Python [\d.]+", done.stdout)
            if found is None:
                raise NotInstalled(f"{words[0]} does not start: {done.stderr[-300:]}")
            texts.append(found[0])
        return ", ".join(texts)


def installation() -> Installation:
    """Asterisk and sipp, installed if need be. Raises NotInstalled with a sentence."""
    if shutil.which("asterisk") and shutil.which("sipp"):
        return Installation(Path("/"))
    if os.geteuid() != 0:
        raise NotInstalled("asterisk and sipp are not on the path, and a chroot needs root.")
    if not shutil.which("apt-get") or not shutil.which("dpkg-deb"):
        raise NotInstalled("asterisk and sipp are not on the path, and there is no apt-get.")
    CACHE.mkdir(parents=True, exist_ok=True)
    found = Installation(CACHE / "root")
    with (CACHE / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # of several processes one installs
        if not (CACHE / "root").exists():
            _unpack(CACHE / "unfinished")
            Installation(CACHE / "unfinished").version()
            (CACHE / "unfinished").rename(CACHE / "root")
    found.version()
    return found


def _unpack(root: Path) -> None:
    """Download the packages and all that they depend on, and unpack them: no script of a package
    runs."""
    archive, suite, components = _archive()
    shutil.rmtree(root, ignore_errors=True)
    with tempfile.TemporaryDirectory(dir=CACHE) as name:
        folder = Path(name)
        for each in ("lists/partial", "cache/archives/partial"):
            (folder / each).mkdir(parents=True)
        (folder / "status").touch()
        (folder / "sources.list").write_text(f"deb {archive} {suite} {components}\n")
        options = {
            "Dir::Etc::sourcelist": folder / "sources.list",
            "Dir::Etc::sourceparts": "/dev/null",
            "Dir::Etc::preferences": "/dev/null",
            "Dir::Etc::preferencesparts": "/dev/null",
            "Dir::State::lists": folder / "lists",
            "Dir::State::status": folder / "status",
            "Dir::Cache": folder / "cache",
            "APT::Install-Recommends": "false",
            "APT::Sandbox::User": "root",
            "Acquire::Languages": "none",
            "Acquire::Retries": "3",
            "Debug::NoLocking": "true",
        }
        apt = ["apt-get", "-qq", *(f"-o{key}={value}" for key, value in options.items())]
        _run([*apt, "update"])
        _run([*apt, "install", "--yes", "--download-only", *PACKAGES])
        for each in ("bin", "sbin", "lib", "lib64"):
            (root / "usr" / each).mkdir(parents=True)
            (root / each).symlink_to(f"usr/{each}")
        (root / "tmp").mkdir()
        for package in sorted((folder / "cache" / "archives").glob("*.deb")):
            _run(["dpkg-deb", "--extract", str(package), str(root)])
    if not (root / "bin" / "sh").exists():
        (root / "bin" / "sh").symlink_to("dash")
    (root / "tmp").chmod(0o1777)
    for device in ("null", "zero", "random", "urandom"):
        target = root / "dev" / device
        target.parent.mkdir(exist_ok=True)
        if not target.exists():
            status = os.stat(f"/dev/{device}")
            os.mknod(target, status.st_mode, status.st_rdev)
            target.chmod(0o666)


def _archive() -> tuple[str, str, str]:
    """The distribution's mirror as apt knows it, the suite, and its components."""
    release = dict(re.findall(r'^(\w+)="?([^"\n]*)', Path("/etc/os-release").read_text(), re.M))
    policy = subprocess.run(
        ["apt-cache", "policy"], capture_output=True, text=True, timeout=60, check=False
    ).stdout
    mirror = re.search(r"https?://\S*/(?:debian|ubuntu)\b", policy)
    if mirror is None or release.get("ID") not in {"debian", "ubuntu"}:
        raise NotInstalled("Asterisk is unpacked on Debian and Ubuntu only.")
    if release["ID"] == "ubuntu":
        return mirror[0], release["VERSION_CODENAME"], "main universe"
    return mirror[0], "sid", "main"


def _run(command: Sequence[str]) -> None:
    environment = os.environ | {"DEBIAN_FRONTEND": "noninteractive", "LC_ALL": "C"}
    done = subprocess.run(
        command,
        env=environment,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=INSTALL_SECONDS_MAX,
        check=False,
    )
    if done.returncode:
        raise NotInstalled(f"{command[0]} {command[-1]} failed: {done.stderr.strip()[-500:]}")


@dataclass(slots=True)
class Asterisk:
    """One Asterisk with its own folder, ports and spooler. `recipe` is the configuration of the
    documentation: a file name and its text, where `{NAME}` of `values` is replaced."""

    installed: Installation
    recipe: Mapping[str, str]
    environment: dict[str, str]
    folder: Path = field(init=False)
    sip_port: int = field(init=False)
    far_end_port: int = field(init=False)
    manager_port: int = field(init=False)
    _processes: dict[str, subprocess.Popen[bytes]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """The folder is in the installation's /tmp: the path of a control socket must be short."""
        self.folder = Path(tempfile.mkdtemp(prefix="perminute-", dir=self.installed.root / "tmp"))
        self.sip_port, self.far_end_port = _free_udp_port(), _free_udp_port()
        self.manager_port = free_port()

    @property
    def spool(self) -> Path:
        """The folder that the recipe's scripts write to and the spooler posts from."""
        return self.folder / "spool"

    @contextmanager
    def running(self) -> Iterator[None]:
        """From fully booted to ended; the folder of the last run is kept as `LAST`."""
        self._write_configuration()
        self.environment |= ENVIRONMENT | {"PERMINUTE_SPOOL": self._inside(self.spool)}
        try:
            self.start("asterisk", "-f", "-C", self._inside("asterisk.conf"), env=self.environment)
            self.start_spooler()
            ready = eventually(
                lambda: "fully booted" in self.cli("core waitfullybooted"), READY_SECONDS_MAX
            )
            assert ready, self.log("asterisk")
            yield
        finally:
            for name in list(self._processes):
                self.stop(name)
            shutil.rmtree(LAST, ignore_errors=True)
            CACHE.mkdir(parents=True, exist_ok=True)
            shutil.move(self.folder, LAST)

    def start_spooler(self) -> None:
        """`spool.py` as the recipe runs it."""
        script = self._inside("agi") + "/spool.py"
        folder = self._inside(self.spool)
        self.start("python3", script, folder, env=self.environment, name="spooler")

    def restart_spooler(self) -> None:
        """Kill the spooler without warning and start another one."""
        self.stop("spooler", signal.SIGKILL)
        self.start_spooler()

    def spooled(self) -> list[str]:
        """What waits for the product: records, and a question whose answer was lost."""
        texts = [path.read_text() for path in self.spool.glob("*.json")]
        return [text for text in texts if text.startswith(('["call-ended"', '["dial-outs"'))]

    def start(
        self, *words: str, env: Mapping[str, str], name: str | None = None
    ) -> subprocess.Popen[bytes]:
        """Start a program of the installation in a separate process group."""
        name = name or words[0]
        with (self.folder / f"{name}.out").open("ab") as output:
            self._processes[name] = subprocess.Popen(
                self.installed.command(*words),
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                env=dict(env),
                start_new_session=True,
            )
        return self._processes[name]

    def stop(self, name: str, number: int = signal.SIGTERM) -> None:
        """End a program that was started, if it still runs."""
        process = self._processes.pop(name, None)
        if process is None or process.poll() is not None:
            return
        os.killpg(process.pid, number)
        try:
            process.wait(20)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait(20)

    def cli(self, command: str) -> str:
        """What a command of Asterisk's console prints."""
        words = self.installed.command("asterisk", "-C", self._inside("asterisk.conf"), "-rx")
        done = subprocess.run(
            [*words, command], capture_output=True, text=True, timeout=60, check=False
        )
        return done.stdout

    def log(self, name: str) -> str:
        """The end of what a program printed."""
        return (self.folder / f"{name}.out").read_text("utf-8", "replace")[-4000:]

    def _inside(self, path: Path | str) -> str:
        path = path if isinstance(path, Path) else self.folder / path
        return self.installed.inside(path)

    def _write_configuration(self) -> None:
        names = ("etc", "agi", "spool", "log", "run", "db", "sipp")
        for name in names:
            (self.folder / name).mkdir()
        modules = next((self.installed.root / "usr/lib").glob("*/asterisk/modules"))
        values = {
            "FOLDER": self._inside(self.folder),
            "MODULES": self.installed.inside(modules),
            "SIP_PORT": self.sip_port,
            "FAR_END_PORT": self.far_end_port,
        }
        for file in sorted(CONF.glob("*.conf")):
            text = re.sub(
                r"(?<!\$)\{([A-Z_]+)\}", lambda found: str(values[found[1]]), file.read_text()
            )
            (self.folder / "etc" / file.name).write_text(text)
        (self.folder / "etc" / "asterisk.conf").rename(self.folder / "asterisk.conf")
        for name, page in self.recipe.items():
            with (self.folder / "etc" / name).open("a") as file:
                text = page.replace("port=5038", f"port={self.manager_port}")
                file.write(text.replace("/usr/share/asterisk/agi-bin", self._inside("agi")))
        if self.installed.root != Path("/"):
            names = f"127.0.0.1 localhost {socket.gethostname()}\n"
            (self.installed.root / "etc" / "hosts").write_text(names)
        for name in ("asterisk_agi.py", "perminute.py", "spool.py"):
            shutil.copy(EXAMPLES / name, self.folder / "agi" / name)
            (self.folder / "agi" / name).chmod(0o755)


def run_at_once(pid: int) -> bool:
    """Give a process, or the calling thread (0), real-time priority; False where that is not
    permitted. With it a phone reads its clock when the event happens, on a busy machine, too.
    Asterisk gives it to itself (`highpriority`)."""
    try:
        os.sched_setscheduler(pid, os.SCHED_RR, os.sched_param(1))
    except (OSError, AttributeError):
        return False
    return True


def _free_udp_port() -> int:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as found:
        found.bind(("127.0.0.1", 0))
        port: int = found.getsockname()[1]
        return port
