"""Secrets in a text: what is masked, what is not, and that offsets stay.

Every secret here is generated when the test runs, so that no scanner finds one in this file.
"""

import json
import random
import string
import time
from collections.abc import Callable

import pytest

from tinycopilot.files.masking import MASK, mask, n_secrets, start_of_unfinished_key

ALNUM = string.ascii_letters + string.digits
URL_SAFE = ALNUM + "-_"
HEX = "0123456789abcdef"
DICE = random.Random(7)


def chars(alphabet: str, n: int) -> str:
    """`n` characters, with at least one letter and one digit."""
    while True:
        made = "".join(DICE.choices(alphabet, k=n))
        if any(map(str.isalpha, made)) and any(map(str.isdigit, made)):
            return made


def jwt() -> str:
    return ".".join(("ey" + "J" + chars(URL_SAFE, 30), "ey" + "J" + chars(URL_SAFE, 60), chars(URL_SAFE, 43)))


TOKENS: dict[str, Callable[[], str]] = {
    "AWS key id": lambda: "AK" + "IA" + chars(string.ascii_uppercase + "234567", 16),
    "AWS temporary key id": lambda: "AS" + "IA" + chars(string.ascii_uppercase + "234567", 16),
    "Google API key": lambda: "AI" + "za" + chars(URL_SAFE, 35),
    "Google client secret": lambda: "GOC" + "SPX-" + chars(URL_SAFE, 28),
    "Google access token": lambda: "ya" + "29." + chars(URL_SAFE, 60),
    "Azure client secret": lambda: chars(ALNUM, 3) + "8Q" + "~" + chars(ALNUM, 34),
    "DigitalOcean": lambda: "do" + "p_v1_" + chars(HEX, 64),
    "GitHub": lambda: "gh" + "p_" + chars(ALNUM, 36),
    "GitHub server": lambda: "gh" + "s_" + chars(ALNUM, 36),
    "GitHub fine-grained": lambda: "github" + "_pat_" + chars(ALNUM, 22) + "_" + chars(ALNUM, 59),
    "GitLab": lambda: "gl" + "pat-" + chars(URL_SAFE, 20),
    "npm": lambda: "np" + "m_" + chars(ALNUM, 36),
    "PyPI": lambda: "py" + "pi-AgEIcHlwaS5vcmc" + chars(URL_SAFE, 80),
    "Hugging Face": lambda: "h" + "f_" + chars(ALNUM, 34),
    "Slack": lambda: "xo" + "xb-" + chars(string.digits + "a", 11) + "-" + chars(ALNUM, 24),
    "Slack app": lambda: "xa" + "pp-1-A" + chars(ALNUM, 60),
    "Discord": lambda: "M" + chars(ALNUM, 25) + "." + chars(ALNUM, 6) + "." + chars(ALNUM, 38),
    "Telegram": lambda: "123456789" + ":A" + "A" + chars(URL_SAFE, 33),
    "Stripe": lambda: "sk" + "_live_" + chars(ALNUM, 24),
    "Stripe restricted": lambda: "rk" + "_test_" + chars(ALNUM, 24),
    "Shopify": lambda: "shp" + "at_" + chars(HEX, 32),
    "SendGrid": lambda: "S" + "G." + chars(URL_SAFE, 22) + "." + chars(URL_SAFE, 43),
    "Twilio": lambda: "S" + "K" + chars(HEX, 32),
    "OpenAI": lambda: "s" + "k-" + chars(ALNUM, 48),
    "OpenAI project": lambda: "s" + "k-proj-" + chars(URL_SAFE, 60),
    "Anthropic": lambda: "s" + "k-ant-api03-" + chars(URL_SAFE, 90),
    "JWT": jwt,
}

FORMS = (
    'x = "{}"\n', "x = '{}'\n", '{{"x": "{}"}}\n', "x: {}\n", "export X={}\n", "# see {} there\n", "curl -u {}: /\n",
    '#define X "{}"\n', "const x = `{}`;\n", "Authorization: Bearer {}\n",
)  # fmt: skip


@pytest.mark.parametrize("kind", TOKENS)
@pytest.mark.parametrize("form", FORMS)
def test_token_is_masked_anywhere(kind: str, form: str) -> None:
    token = TOKENS[kind]()
    text = "first = 1\n" + form.format(token) + "last = 2\n"
    assert mask(text) == text.replace(token, MASK * len(token))
    assert n_secrets(mask(text)) == 1


PASSWORDS = ("qvx7-marmot-lantern", "Tr0ub4dor&3x", "x8Kq2LmZp0Rt", "hJ7$kq!pW2", "a1b2c3d4e5f60718", "p@S5w.rd/9+Zq=")
ASSIGNMENTS = (
    'password = "{}"\n', "DB_PASSWORD = '{}'\n", 'password: str = "{}"\n', 'connect(password="{}")\n',
    'config["password"] = "{}"\n', 'os.environ.setdefault("API_KEY", "{}")\n', '{{"client_secret": "{}"}}\n',
    '"passphrase": "{}",\n', "  password: '{}'\n", 'api_key = "{}"\n', "const apiKey = '{}';\n", "apiSecret: `{}`,\n",
    'String password = "{}";\n', 'char *passwd = "{}";\n', 'char password[32] = "{}";\n', '#define API_KEY "{}"\n',
    "define('DB_PASSWORD', '{}');\n", "$password = '{}';\n", "'password' => '{}',\n", 'password := "{}"\n',
    'let secret: &str = "{}";\n', 'SECRET_KEY = (\n    "{}"\n)\n', 'PASSWORD = SecretStr("{}")\n', 'pwd = b"{}"\n',
    'if password == "{}":\n', 'password = """{}"""\n', "<password>{}</password>\n", 'key="Password" value="{}"\n',
    'export SECRET_KEY="{}"\n', '"{{\\"password\\": \\"{}\\"}}"\n',
)  # fmt: skip


@pytest.mark.parametrize("form", ASSIGNMENTS)
@pytest.mark.parametrize("password", PASSWORDS)
def test_password_is_masked_in_any_assignment(form: str, password: str) -> None:
    text = "port = 1\n" + form.format(password) + "host = 'a'\n"
    assert mask(text) == text.replace(password, MASK * len(password))


@pytest.mark.parametrize(
    "form", ["PASSWORD={}\n", "password: {}\n", "a = 'Server=db;Password={};Port=1'\n", "AccountKey={};x\n"]
)
def test_password_without_quotes_is_masked(form: str) -> None:
    password = chars(ALNUM, 40) + "+/x=="
    assert mask(form.format(password)) == form.format(MASK * len(password))


@pytest.mark.parametrize("name", ["token", "auth_token", "key", "SLACK_TOKEN"])
def test_long_token_of_unknown_format_is_masked(name: str) -> None:
    literal = chars(ALNUM, 32)
    assert mask(f'{name} = "{literal}"\n') == f'{name} = "{MASK * 32}"\n'


def test_only_the_password_of_a_connection_string_is_masked() -> None:
    text = 'URL = "postgres://app:' + "qvx7-" + 'marmot@db.example.com:5432/prod"\n'
    assert mask(text) == text.replace("qvx7-marmot", MASK * 11)
    placeholder = 'URL = "postgres://user:password@localhost/db"\n'
    assert mask(placeholder) == placeholder


PEM = [f"-----{end} RSA PRIVATE" + " KEY-----" for end in ("BEGIN", "END")]


def pem(n_lines: int = 4, line_end: str = "\n") -> str:
    return line_end.join([PEM[0], *(chars(ALNUM + "+/", 64) for _ in range(n_lines)), PEM[1]])


def test_private_key_is_masked_without_its_surroundings() -> None:
    text = f'a = 1\nKEY = """{pem()}"""\nb = 2\n'
    masked = mask(text)
    assert len(masked) == len(text)
    assert masked == f'a = 1\nKEY = """{PEM[0]}{MASK * (len(pem()) - len(PEM[0]) - len(PEM[1]))}{PEM[1]}"""\nb = 2\n'


def test_service_account_private_key_is_masked() -> None:
    key = pem()
    masked = mask(json.dumps({"type": "service_account", "private_key": key, "project_id": "p"}))
    assert not any(line in masked for line in key.split("\n")[1:-1])
    assert '"project_id": "p"' in masked


def test_incomplete_private_key_is_masked() -> None:
    head = pem().rsplit("\n", 1)[0]
    masked = mask(f"{head}\nplain = 1\n")
    assert not any(line in masked for line in head.split("\n")[1:])
    assert masked.endswith("plain = 1\n")


@pytest.mark.parametrize(
    "text",
    [
        'password = "password"\n', 'password = getpass("Password: ")\n', "password = form.cleaned_data['password1']\n",
        'token = self.next_token()\n', 'TOKEN = "end_of_file"\n', 'key = "django.contrib.auth.backends"\n',
        'key=lambda item: item[1]\n', 'secret_name = "prod/db-7/Password9x"\n', 'password = os.environ["PASSWORD"]\n',
        'password: "${DB_PASSWORD}"\n', 'api_key = "<your-api-key-1>"\n', 'token_url = "https://a.b/c2?d=e5F"\n',
        'key = "0123456789"\n', 'help="the password of user %(user)s"\n', "password = settings.PASSWORD_2\n",
        'password = "new_password2"\n', 'PEM = "' + PEM[0] + '"\nEND = "' + PEM[1] + '"\n', 'secret = "********"\n',
        "-----BEGIN PUBLIC KEY-----\nMIIBIjANBgkqhkiG9w0BAQEFAAOCAQ8A\n-----END PUBLIC KEY-----\n",
        'class="sk-fading-circle sk-estimator-doc-link"\n', "key, value = pair\n", "tokens[0] == tokens[1]\n",
        'integrity = "sha512-of-the-file"\n', "primary_key=True\n", 'public_key = "' + "aB3" * 10 + '"\n',
    ],
)  # fmt: skip
def test_ordinary_code_is_unchanged(text: str) -> None:
    assert mask(text) == text


def test_offsets_are_unchanged() -> None:
    token = TOKENS["GitHub"]()
    text = f'\u0130 = "\U0001f600"\r\npassword = "x8Kq2LmZp0Rt"  # \u0130\ntoken = "{token}"\n'
    masked = mask(text)
    assert len(masked) == len(text)
    assert masked == text.replace(token, MASK * len(token)).replace("x8Kq2LmZp0Rt", MASK * 12)


HOSTILE = (
    "gh" + "p_", "ey" + "J", "ey" + "Ja.", "://a:", "://:", "password=", "key: ", 'secret("', "token = (", "Q~", ":AA",
    PEM[0] + "\n", PEM[0] + "\nMIIE\n", "sk-", "SG.a", "[", "a" * 50 + ".", "M" * 40, "key key ",
    "pwd:a b:", "\\", "passw ",
)  # fmt: skip


@pytest.mark.parametrize("piece", HOSTILE)
def test_time_is_linear_in_the_text(piece: str) -> None:
    def seconds(n_chars: int) -> float:
        text = (piece * (n_chars // len(piece) + 1))[:n_chars]
        started = time.thread_time()
        mask(text)
        return time.thread_time() - started

    # Quadratic time would be a factor of 256. On a busy machine, one of several measurements is undisturbed.
    assert any(seconds(64_000) < 16 * 4 * seconds(4_000) + 0.05 for _ in range(5))


def test_key_that_may_continue_in_the_next_piece() -> None:
    for begin in ("RSA PRIVATE" + " KEY", "PGP PRIVATE" + " KEY BLOCK"):
        begun = f"x = 1\n-----BEGIN {begin}-----\nMII"
        assert start_of_unfinished_key(begun) == 6
        assert start_of_unfinished_key(ended := f"{begun}\n-----END {begin}-----\n") == len(ended)
    assert start_of_unfinished_key(public := "-----BEGIN PUBLIC KEY-----\n") == len(public)
