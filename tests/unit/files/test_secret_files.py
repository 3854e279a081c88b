"""Names of secrets, by kind, and of ordinary code."""

import os
import sysconfig
from pathlib import Path

import pytest

from tinycopilot.files.left_out import LeftOut
from tinycopilot.files.reading import NotTextError, read_source
from tinycopilot.files.secret_files import is_secret, is_secret_place, is_secret_source
from tinycopilot.files.walking import source_files

SECRET = (
    *(".env", ".env.local", ".env-prod", ".env_prod", "prod.env", ".envrc", ".flaskenv", "local.settings.json"),
    *("ID_RSA", "id_ecdsa.pub", "deploy_rsa", "server.pem", "key.p8", "vault.kdbx", "vpn.ovpn", "release.keystore"),
    *(".git-credentials", ".npmrc", ".pypirc", "_netrc", ".netrc", ".pgpass", ".htpasswd", ".vault_pass", "auth.json"),
    *(".vault-token", ".dockerconfigjson", "kubeconfig", "prod.kubeconfig", "wp-config.php", "database.yml"),
    *("terraform.tfstate", "terraform.tfstate.backup", "prod.tfvars", "prod.auto.tfvars.json", ".bash_history"),
    *("Secrets.toml", ".secrets.toml", "secrets.prod.toml", "app-secrets.yaml", "secret.json", "local_secrets.yml"),
    *("api_keys.json", "apikeys.yaml", "api-key.txt", "passwords.txt", "db-password.txt", "passwords.old.csv"),
    *("secrets.py", "Secrets.java", "credentials.py", "credentials_test.js"),
    *("credentials", "credentials.json", "aws_credentials.csv", "service-account.prod.json", "client_secret_1.json"),
    *("token", ".github_token", "npm-token.txt", "my_token.json", "token_cache.json", "ci.token", "app.secret"),
)
ORDINARY = (
    *("tokens.py", "token.py", "tokenizer.py", "tokenizer.txt", "tokenizer.json", "tokenize.py"),
    *("getpass.py", "keys.py", "key.py", "pem.py", "environment.py", "env.py", "id_generator.py", "hashers.py"),
    *("password_reset_subject.txt", "password_change_form.html", "password.html", "secretary.txt", "compass.json"),
    *("monkey.json", "package.json", "gradle.properties", "docker-compose.yml", "settings.py", "keyboard.md"),
    *("history.py", "passthrough.json", "bypass.txt", "authors.json", "shadow.css", "README.md"),
)
SOURCES = ("passwords.py", "local_secrets.py", "api_keys.py", "passwords.js", "apiKeys.ts", "Passwords.java")


@pytest.mark.parametrize("name", SECRET)
def test_secret_names(name: str) -> None:
    assert is_secret(name)


@pytest.mark.parametrize("name", ORDINARY)
def test_ordinary_names(name: str) -> None:
    assert not is_secret(name)


@pytest.mark.parametrize("name", SOURCES)
def test_source_file_with_a_secret_name_needs_code(name: str) -> None:
    assert not is_secret(name)
    assert is_secret_source(name, 'x = "y"\n')
    assert not is_secret_source(name, 'x = "y"\n\n    return x\n')
    assert not is_secret_source("tokens.py", 'x = "y"\n')


def test_secret_file_is_not_read(tmp_path: Path) -> None:
    (tmp_path / "passwords.py").write_text('db = "x"\n')
    with pytest.raises(NotTextError, match="keys or passwords"):
        read_source(tmp_path / "passwords.py")
    (tmp_path / "passwords.py").write_text("def check(password):\n    return len(password)\n")
    assert "check" in read_source(tmp_path / "passwords.py")


def test_secrets_py_is_the_only_match_in_the_standard_library() -> None:
    root = Path(sysconfig.get_paths()["stdlib"])
    for path in source_files(root, never=("site-packages", "test", "tests")):
        assert not is_secret(path.name), path
        if path.stem in ("token", "tokenize", "getpass", "netrc"):
            assert read_source(path)
    assert is_secret("secrets.py")


@pytest.mark.parametrize(
    ("path", "secret"),
    [(".env", True), (".ssh/config.py", True), ("a/.aws/b/c.py", True), ("a/.secrets/x/y.py", True), ("a/b.py", False)],
)
def test_secret_folders(tmp_path: Path, path: str, secret: bool) -> None:
    assert is_secret_place(tmp_path / path) is secret


def test_secret_folder_is_skipped_and_package_is_not(tmp_path: Path) -> None:
    for name in ("secrets/db.toml", "secrets/deep/er.toml", "pkg/secrets/__init__.py", "pkg/secrets/a.toml", "b.toml"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text("x = 1\n")
    left_out = LeftOut()
    found = [os.path.relpath(path, tmp_path) for path in source_files(tmp_path, (".toml",), left_out)]
    assert found == ["b.toml", os.path.join("pkg", "secrets", "a.toml")]  # noqa: PTH118
    assert left_out.lines() == ("left out: 1 name that suggests secrets (secrets/)",)
    assert is_secret_place(tmp_path / "secrets" / "db.toml")
    assert not is_secret_place(tmp_path / "pkg" / "secrets" / "a.toml")


def test_secret_folder_counts_up_to_the_top_of_the_project(tmp_path: Path) -> None:
    project = tmp_path / "secrets" / "clients" / "project"
    file = project / "secrets" / "prod" / "hosts.yaml"
    file.parent.mkdir(parents=True)
    file.touch()
    (tmp_path / "link.yaml").symlink_to(file)
    for path in (file, tmp_path / "link.yaml"):
        assert is_secret_place(path, [str(project)])
    assert is_secret_place(project / "a.py")
    assert not is_secret_place(project / "a.py", [str(project)])
    (project / ".git").mkdir()
    assert not is_secret_place(project / "deep" / "a.py")
    assert is_secret_place(file)
    (project / "secrets" / "package.py").touch()
    assert not is_secret_place(file)
