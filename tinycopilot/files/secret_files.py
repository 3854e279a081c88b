"""Decide, mostly by name, which files and folders hold keys or passwords: they are never indexed or completed.

The list is reviewed by hand and grouped by kind. The name decides, with one exception: a source file such as
`passwords.py` or `api_keys.py` may be code that handles secrets, so it is left out only if it defines no function.
Secrets in other files are found by masking.py. Names are compared in lower case.
"""

import contextlib
import fnmatch
import os
import re
from collections.abc import Container, Iterable, Iterator
from pathlib import Path

SECRET_FOLDERS = frozenset(
    (
        *(".ssh", ".gnupg", ".aws", ".azure", ".kube", ".password-store", ".docker", ".gcloud", ".oci", ".chef"),
        *(".secrets", ".secret", ".credentials", ".passwords"),
    )
)
"""Folders of tools that store keys, and hidden folders named after secrets: nothing below them is read."""
_DATA_FOLDERS = frozenset(("secret", "secrets", "credential", "credentials", "password", "passwords"))
"""Folders that are left out unless they directly contain source files, as a package does."""

_PATTERNS = (
    # Names that start with it. (This includes Python's own secrets.py.)
    *("secret.*", "secrets.*", "credentials*"),
    # Environment files: assignments for a shell or a container.
    *(".env*", ".*env", "*.env", "*.env.local", "*.env.json", "*.env.y*ml", "local.settings.json"),
    # Private keys and key stores, by extension.
    *("*.pem", "*.key", "*.p8", "*.p12", "*.pfx", "*.pkcs12", "*.ppk", "*.jks", "*.bks", "*.keystore", "*.keytab"),
    *("*.kdb", "*.kdbx", "*.psafe3", "*.gpg", "*.age", "*.jwk", "*.ovpn", "*.agekey", "wg[0-9]*.conf"),
    # SSH: private keys, and the public keys next to them.
    *("id_rsa*", "id_dsa*", "id_ecdsa*", "id_ed25519*", "*_rsa", "*_ed25519", "ssh_host_*_key*"),
    # Credentials of tools: package registries, databases, mail, backup, deployment.
    *(".netrc*", "_netrc", ".pypirc", ".npmrc", ".yarnrc", ".yarnrc.yml", ".pgpass", "pgpass.conf", ".my.cnf"),
    *(".mylogin.cnf", ".htpasswd*", ".htdigest*", ".dockercfg", ".dockerconfigjson", ".git-credentials", ".s3cfg"),
    *(".boto", ".passwd-s3fs", ".terraformrc", "terraform.rc", ".databrickscfg", ".sentryclirc", ".fetchmailrc"),
    *(".msmtprc", "rclone.conf", ".ftpconfig", "sftp-config.json", "sftp.json", "filezilla.xml", "recentservers.xml"),
    *("auth.json", "kubeconfig*", "*.kubeconfig", "wp-config*.php", "database.yml", "database.yaml", "shadow"),
    *(".vault-token", ".vault?pass*", "vault?pass*", "keystore.properties", "key.properties", "signing.properties"),
    *("service?account*.json", "client?secret*.json", "*.secret", "*.secrets", "*.token", "*.credentials"),
    # Infrastructure: Terraform's variables and state.
    *("*.tfvars", "*.tfvars.json", "*.tfstate", "*.tfstate.*", "*.tfbackend"),
    # Shell histories.
    *(".*_history", ".histfile"),
)
_SECRET_NAME = re.compile("|".join(f"(?:{fnmatch.translate(pattern)})" for pattern in _PATTERNS))

_SOURCE_SUFFIXES = frozenset(
    (
        *(".py", ".pyi", ".js", ".mjs", ".cjs", ".jsx", ".ts", ".mts", ".cts", ".tsx", ".rb", ".php", ".go", ".java"),
        *(".kt", ".kts", ".scala", ".cs", ".c", ".h", ".cc", ".cpp", ".cxx", ".hpp", ".rs", ".swift", ".dart", ".lua"),
        *(".pl", ".pm", ".ex", ".exs", ".clj", ".hs", ".ml", ".r", ".jl", ".m", ".vb", ".fs", ".groovy", ".zig"),
    )
)
_MARKUP_SUFFIXES = frozenset(
    (
        *(".html", ".htm", ".css", ".scss", ".less", ".vue", ".svelte", ".j2", ".jinja", ".jinja2", ".tmpl", ".erb"),
        ".po",
    )
)
"""Pages and forms: `password.html` asks for a password and contains none."""
_TEXT_SUFFIXES = frozenset(("", ".txt", ".md", ".rst", ".org", ".adoc", ".log", ".tex", ".ipynb", ".sql"))

_HOLDERS = r"secrets?|passwords?|passwds?|passphrases?|credentials?|creds?"
_KEYS = r"(?:api|access|private|secret|auth|encryption|signing)_?keys?"
_TOKENS = r"(?:api|access|auth|bearer|refresh)_?tokens?"
_ENDS_SECRET = re.compile(rf"(?:.*_)?(?:{_HOLDERS}|{_KEYS}|{_TOKENS})")
_TEXT_ENDS_SECRET = re.compile(rf"(?:.*_)?(?:{_HOLDERS}|{_KEYS}|tokens?)|.*credentials.*")
_DATA_HAS_SECRET = re.compile(rf"(?:.*_)?(?:{_HOLDERS}|{_KEYS}|tokens?)(?:_.*)?|.*(?:token|credentials).*")
_QUALIFIERS = re.compile(
    r"(?:_(?:prod|production|dev|development|staging|stage|test|testing|local|live|backup|bak|old|orig|copy|example"
    r"|sample|template|default|private|enc|dec|\d+))+\Z"
)
"""Suffixes that may follow the decisive word: `secrets.prod.toml`, `passwords_old.txt`."""

# A definition or a `return` at the start of a line, in any of the languages above.
_COMPUTES = re.compile(
    r"^[ \t]{0,40}+(?:(?:pub|public|private|protected|internal|static|async|export|default|final|override)[ \t]+){0,4}+"
    r"(?:def|defp|fn|func|fun|function|sub|return)\b",
    re.MULTILINE,
)


def is_secret(name: str) -> bool:
    """Whether a file with this name (without folder) holds keys or passwords, judged by the name."""
    name = name.lower()
    if _SECRET_NAME.match(name):
        return True
    stem, suffix = _stem_and_suffix(name)
    if suffix in _SOURCE_SUFFIXES or suffix in _MARKUP_SUFFIXES:
        return False
    if suffix in _TEXT_SUFFIXES:
        return _TEXT_ENDS_SECRET.fullmatch(_QUALIFIERS.sub("", stem)) is not None
    return _DATA_HAS_SECRET.fullmatch(stem) is not None and "tokenizer" not in stem


def is_secret_source(name: str, text: str) -> bool:
    """Whether a source file is named like secrets and contains only values."""
    stem, suffix = _stem_and_suffix(name.lower())
    is_named_so = suffix in _SOURCE_SUFFIXES and _ENDS_SECRET.fullmatch(_QUALIFIERS.sub("", stem)) is not None
    return is_named_so and _COMPUTES.search(text) is None


def _stem_and_suffix(name: str) -> tuple[str, str]:
    """Split a name: `.db-secrets.prod.toml` -> `db_secrets_prod`, `.toml`; the suffix may be empty."""
    stem, dot, suffix = name.lstrip(".").rpartition(".")
    stem, suffix = (stem, dot + suffix) if dot else (suffix, "")
    return re.sub(r"[-. ]", "_", stem), suffix


def is_secret_folder(name: str, names_in_it: set[str]) -> bool:
    """Whether a folder with this name, which directly contains these files, holds data such as passwords."""
    if name.lower() not in _DATA_FOLDERS or ".git" in names_in_it:
        return False
    return not any(_stem_and_suffix(inside.lower())[1] in _SOURCE_SUFFIXES for inside in names_in_it)


def is_secret_place(path: Path, tops: Iterable[str] = ()) -> bool:
    """Whether a path is secret by its name, by a folder above it, or, for a link, by its target.

    A folder such as `secrets` counts up to the top of the project: a folder of `tops`, or one that contains `.git`.
    """
    real = Path(os.path.realpath(path))
    if is_secret(path.name) or is_secret(real.name):
        return True
    if not SECRET_FOLDERS.isdisjoint(part.lower() for part in (*path.parts, *real.parts)):
        return True
    ends = set(map(Path, tops))
    return any(map(_is_data_folder, (*_project_folders(path.absolute(), ends), *_project_folders(real, ends))))


def is_secret_document(path: Path, text: str, tops: Iterable[str] = ()) -> bool:
    """Whether a document must be neither indexed nor completed: by its place, or by a link's or its own name.

    `tops` are as for `is_secret_place`.
    """
    names = {path.name, Path(os.path.realpath(path)).name}
    return is_secret_place(path, tops) or any(is_secret_source(name, text) for name in names)


def _project_folders(path: Path, tops: Container[Path]) -> Iterator[Path]:
    """Yield the folders above a path, up to the top of its project."""
    for folder in path.parents:
        yield folder
        if folder in tops or os.path.lexists(folder / ".git"):
            return


def _is_data_folder(folder: Path) -> bool:
    if folder.name.lower() not in _DATA_FOLDERS:
        return False
    with contextlib.suppress(OSError):
        return is_secret_folder(folder.name, set(os.listdir(folder)))  # noqa: PTH208 (only names)
    return False
