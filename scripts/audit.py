"""Audit the project: `make audit`.

Locks have a hash for every package; nothing tracked looks like a secret; the code reads no pickle and evaluates no
text; pip-audit knows no vulnerability of the locked packages, if it could ask. Writes an SBOM, build/sbom.json.
"""

import ast
import json
import re
import subprocess
import sys
import uuid
from collections.abc import Iterable, Iterator
from pathlib import Path


PROJECT = Path(__file__).parents[1]
LOCKS = ("requirements.lock", "requirements-dev.lock")
SBOM = PROJECT / "build" / "sbom.json"
PINNED = re.compile(r"(?P<name>[A-Za-z0-9._-]+)==(?P<version>\S+) --hash=sha256:(?P<sha256>[0-9a-f]{64})")
SECRETS = {
    "a token of the Hugging Face Hub": re.compile(r"\bhf_[A-Za-z0-9]{30,}"),
    "a token of GitHub": re.compile(r"\bgh[pousr]_[A-Za-z0-9]{30,}"),
    "a key of AWS": re.compile(r"\bAKIA[0-9A-Z]{16}\b"),
    "a private key": re.compile(r"-----BEGIN [A-Z ]*PRIVATE KEY-----"),
    "a password": re.compile(r"""(?i)\b(?:api_?key|secret|password|passwd)\s*[:=]\s*["'][^"'\s{}<>]{12,}["']"""),
}
UNSAFE_MODULES = {"pickle", "cPickle", "dill", "cloudpickle", "marshal", "shelve", "joblib"}
UNSAFE_CALLS = {"eval", "exec", "compile", "os.system", "os.popen", "yaml.load", "torch.load", "jit.load"}
UNSAFE_KEYWORDS = {"allow_pickle", "shell"}  # where True
NOT_ASKED = "vulnerabilities: NOT KNOWN: pip-audit {reason}"


def main() -> int:
    """Audit, print what was found, and write the SBOM; 1 if anything was found."""
    files = tracked_files()
    findings = [
        *(f"{name}: {line}" for name in LOCKS for line in unhashed((PROJECT / name).read_text())),
        *(f"{path}: {found}" for path, text in texts(files) for found in secrets(text)),
        *(f"{path}:{found}" for path, text in texts(shipped_code(files)) for found in unsafe_code(text)),
    ]
    vulnerable, sentence = vulnerabilities()
    for line in [*findings, *vulnerable]:
        print(line)
    SBOM.parent.mkdir(exist_ok=True)
    SBOM.write_text(json.dumps(sbom(PINNED.finditer((PROJECT / LOCKS[0]).read_text())), indent=2) + "\n")
    print(f"{len(files)} files, {len(findings)} findings; {sentence}; SBOM: {SBOM.relative_to(PROJECT)}")
    return 1 if findings or vulnerable else 0


def tracked_files() -> list[Path]:
    """All files of the project that git tracks."""
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=PROJECT, capture_output=True, check=True, text=True)
    return [PROJECT / name for name in listed.stdout.split("\0") if name and (PROJECT / name).is_file()]


def shipped_code(files: Iterable[Path]) -> list[Path]:
    """Python modules but those of the tests."""
    return [path for path in files if path.suffix == ".py" and "tests" not in path.relative_to(PROJECT).parts]


def texts(files: Iterable[Path]) -> Iterator[tuple[str, str]]:
    """Name and content of files that are text."""
    for path in files:
        try:
            yield str(path.relative_to(PROJECT)), path.read_text(encoding="utf-8")
        except UnicodeDecodeError:
            continue


def unhashed(lock: str) -> list[str]:
    """Lines of a lock that pin no package by its hash."""
    lines = [line for line in lock.splitlines() if line.strip() and not line.startswith("#")]
    return [f"{line!r} pins no package by its hash" for line in lines if not PINNED.fullmatch(line)]


def secrets(text: str) -> list[str]:
    """Line and kind of everything that looks like a secret, without showing it."""
    return [
        f"line {text.count(chr(10), 0, match.start()) + 1} looks like {kind}"
        for kind, pattern in SECRETS.items()
        for match in pattern.finditer(text)
    ]


def unsafe_code(source: str) -> list[str]:
    """Lines of Python that run what they read: pickles, evaluated text, commands of a shell."""
    return [f"{node.lineno}: {found}" for node in ast.walk(ast.parse(source)) if (found := unsafe(node))]


def unsafe(node: ast.AST) -> str | None:
    """Unsafe import or call at a node of a syntax tree, in words; None if there is none."""
    if isinstance(node, ast.Import | ast.ImportFrom):
        modules = [node.module or ""] if isinstance(node, ast.ImportFrom) else [alias.name for alias in node.names]
        return next((f"imports {name}" for name in modules if name.partition(".")[0] in UNSAFE_MODULES), None)
    if not isinstance(node, ast.Call):
        return None
    name = ast.unparse(node.func)
    if name in UNSAFE_CALLS and "SafeLoader" not in ast.unparse(node):
        return f"calls {name}"
    keywords = [keyword.arg for keyword in node.keywords if ast.unparse(keyword.value) == "True"]
    return next((f"calls {name} with {keyword}=True" for keyword in keywords if keyword in UNSAFE_KEYWORDS), None)


def vulnerabilities() -> tuple[list[str], str]:
    """Known vulnerabilities of the packages of `make app`, and a sentence on how far they are known."""
    command = [sys.executable, "-m", "pip_audit", "--requirement", LOCKS[0], "--disable-pip", "--format", "json"]
    done = subprocess.run(command, cwd=PROJECT, capture_output=True, text=True, check=False)
    if "No module named" in done.stderr:
        return [], NOT_ASKED.format(reason="is not installed (pip install pip-audit)")
    try:
        packages = json.loads(done.stdout)["dependencies"]
    except ValueError:
        return [], NOT_ASKED.format(reason="could not ask: " + (done.stderr.strip().splitlines() or ["?"])[-1])
    found = [f"{one['name']} {one['version']}: {entry['id']}" for one in packages for entry in one.get("vulns", [])]
    return found, f"vulnerabilities: {len(found)} in {len(packages)} packages"


def sbom(packages: Iterable[re.Match]) -> dict:
    """A software bill of materials of pinned packages (CycloneDX 1.6)."""
    components = [
        {
            "type": "library",
            "name": package["name"],
            "version": package["version"],
            "purl": f"pkg:pypi/{package['name'].lower().replace('_', '-')}@{package['version']}",
            "hashes": [{"alg": "SHA-256", "content": package["sha256"]}],
        }
        for package in packages
    ]
    name = "speech-emotion-lstm"
    return {
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "serialNumber": f"urn:uuid:{uuid.uuid5(uuid.NAMESPACE_URL, json.dumps(components))}",
        "version": 1,
        "metadata": {"component": {"type": "application", "name": name}},
        "components": components,
    }


if __name__ == "__main__":
    sys.exit(main())
