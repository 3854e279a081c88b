"""Find secrets in a text (keys, tokens, passwords, random-looking literals) and mask them.

Detected are tokens in well-known formats, private keys in PEM, passwords in connection strings, and random-looking
literals that are assigned to names such as `password` or `api_key`. Each character of a secret is replaced by MASK, so
offsets do not change. MASK is a Unicode noncharacter: to the n-gram models it is a break that no context crosses, to
the network an unknown character, and neither ever suggests it.

Each rule searches for a fixed string with `str.find`, then matches within a bounded distance of it, so the time is
linear in the size of the text, even for hostile input. Except for PEM blocks, a secret is on the line of its name or on
the next one, so only the lines that an edit changes are masked again (completion/session_state.py).

The formats are those that the providers document and that scanners such as gitleaks, detect-secrets and trufflehog
detect.
"""

import re
from collections.abc import Iterator
from typing import Final

MASK: Final = "\uffff"
"""Replaces each character of a secret."""
RULES_VERSION: Final = 1
"""Increase when a rule changes, so that files saved under other rules are not used."""

Span = tuple[int, int]
"""Start and end of a secret, in code points."""


def _format(needle: str, pattern: str, n_before: int = 0) -> tuple[str, re.Pattern[str], int]:
    """A format of tokens that are recognized by their text alone.

    Every token contains `needle`. `pattern` matches the token; its group 1, if there is one, is the secret.
    `n_before` is the maximum number of characters from the start of the pattern to the needle.
    """
    return needle, re.compile(pattern, re.ASCII), n_before


_START = r"(?<![A-Za-z0-9])"
REACH_CHARS: Final = 10_000
"""Maximum length of a secret with its context, except for PEM blocks."""
TOKEN_FORMATS: Final = (
    # Clouds: AWS, Google (API key, OAuth client secret and access token), Azure (client secret, SAS), DigitalOcean.
    _format("AKIA", _START + r"AKIA[A-Z0-9]{16}(?![A-Z0-9])"),
    _format("ASIA", _START + r"ASIA[A-Z0-9]{16}(?![A-Z0-9])"),
    _format("AIza", _START + r"AIza[\w-]{35}"),
    _format("GOCSPX-", r"GOCSPX-[\w-]{20,64}"),
    _format("ya29.", _START + r"ya29\.[\w-]{20,512}"),
    _format("Q~", r"(?<![\w~.-])[\w~.-]{3}\dQ~[\w~.-]{31,34}(?![\w~.-])", 4),
    _format("sig=", r"(?<=[?&;])sig=([\w%+/-]{40,120}={0,2})"),
    _format("_v1_", r"(?<![a-z0-9])do[opr]_v1_[0-9a-f]{64}", 3),
    # Forges and registries: GitHub, GitLab, npm, PyPI, Hugging Face.
    *(_format(f"gh{kind}_", _START + rf"gh{kind}_[A-Za-z0-9]{{36,255}}") for kind in "pousr"),
    _format("github_pat_", _START + r"github_pat_\w{22,255}"),
    _format("gl", _START + r"gl(?:pat|dt|rt|rtr|cbt|ptt|ft|soat|imt|agent|oas|ffct)-[\w.-]{20,300}"),
    _format("npm_", _START + r"npm_[A-Za-z0-9]{36}"),
    _format("pypi-A", _START + r"pypi-A[\w-]{50,512}"),
    _format("hf_", _START + r"hf_[A-Za-z0-9]{30,64}"),
    # Chat: Slack (token, app token, webhook), Discord (bot token, webhook), Telegram.
    _format("xox", _START + r"xox[abeoprs](?:\.xox[bp])?-[\w-]{10,255}"),
    _format("xapp-", _START + r"xapp-\d-[\w-]{20,255}"),
    _format("hooks.slack.com/", r"hooks\.slack\.com/(?:services|workflows|triggers)/([\w/-]{20,255})"),
    _format("/api/webhooks/", r"/api/webhooks/(\d{15,22}/[\w-]{50,100})"),
    _format(":AA", r"(?<!\d)\d{8,10}:AA[\w-]{32,33}(?![\w-])", 10),
    # Payment, mail, telephony, models: Stripe, Square, Shopify, SendGrid, Mailgun, Twilio, OpenAI, Anthropic, xAI.
    _format("k_live_", _START + r"[sr]k_live_[A-Za-z0-9]{10,255}", 1),
    _format("k_test_", _START + r"[sr]k_test_[A-Za-z0-9]{10,255}", 1),
    _format("whsec_", _START + r"whsec_[A-Za-z0-9+/]{24,128}={0,2}"),
    _format("shp", _START + r"shp(?:at|ca|pa|ss)_[0-9a-fA-F]{32}"),
    _format("SG.", _START + r"SG\.[\w-]{16,32}\.[\w-]{32,64}"),
    _format("SK", _START + r"SK[0-9a-f]{32}(?![A-Za-z0-9])"),
    _format("sk-", r"(?<![\w-])sk-(?:(?:ant|proj|svcacct|admin|or-v1|lf)-[\w-]{20,255}|[A-Za-z0-9]{20,255}(?![\w-]))"),
    # Signed tokens: a JWT's header and payload are JSON objects in base64url, which start with `eyJ`.
    _format("eyJ", r"(?<![\w-])eyJ[\w-]{8,4000}\.eyJ[\w-]{8,4000}\.[\w-]{8,1000}"),
)

_DISCORD = re.compile(r"[MNO](?<![\w.-].)[A-Za-z\d_-]{23,27}\.[\w-]{6}\.[\w-]{27,40}(?![\w.-])", re.ASCII)
"""A Discord bot token: id, timestamp and signature in base64url, without a fixed part."""
_URL_PASSWORD = re.compile(r"://[^\s:/@\"'<>{}$`\\]{0,64}:([^\s/@\"'<>{}$`\\]{4,256})@(?=[\w\[])")
"""scheme://user:password@host."""
_WEAK_PASSWORDS: Final = frozenset(
    (
        *("pass", "passwd", "password", "pwd", "secret", "test", "user", "username", "root", "admin", "tiger", "guest"),
        *("postgres", "mysql", "example", "token"),
    )
)
"""Placeholders, not secrets, in connection strings."""

NAME_PARTS: Final = ("passw", "passphrase", "pwd", "secret", "credential", "token", "key", "bearer", "api_hash")
"""The name of a secret contains one of these."""
_STRICT_PARTS: Final = frozenset(("token", "key", "bearer"))
"""Also common in names of other things, so the literal must look more random."""
_SECRET_KEYS = re.compile(
    r"(?:api|access|private|secret|auth|encryption|encrypt|signing|account|master|storage|shared|app|client|consumer"
    r"|service|license|crypto|cipher|aes|hmac|jwt|session|deploy)[_. -]?\Z"
)
"""Prefixes of `key` that make it a secret, in lower case."""
_PUBLIC_KEYS = re.compile(r"(?:public|primary|foreign|sort|cache|partition|idempotency|publishable|pub)[_. -]?\Z")
_DESCRIBES: Final = frozenset(
    (
        *("url", "uri", "path", "file", "filename", "name", "names", "id", "ids", "type", "types", "field", "fields"),
        *("pattern", "regex", "regexp", "re", "format", "fmt", "header", "prefix", "suffix", "length", "len", "size"),
        *("algorithm", "algo", "alg", "class", "cls", "version", "arn", "endpoint", "provider", "backend", "error"),
        *("message", "msg", "label", "help", "doc", "template", "usage", "scheme", "chars", "alphabet", "ref", "spec"),
    )
)
"""Last words of names that describe a secret but do not hold one, such as `token_url`."""

_ASSIGNMENT = re.compile(
    r"""
    (?P<rest> [A-Za-z0-9_-]{0,30}+ )                                # of the name
    (?P<close> \\?+["'`]?+ ) \]?+ (?:\[\w{0,8}+\])?+                # "name"]  name[32]
    [ \t]{0,40}+
    (?P<between>
        (?: : [ \t]{0,4} [A-Za-z_&*] [\w.\[\]|,&*<> \t]{0,60}? )? [:!?]?={1,3}>?   # =  :=  =>  ==  : str =
      | : (?!:)
      | , | [({] | > | (?<=[ \t]) value [ \t]? = | (?<=[ \t])
    )
    [ \t]{0,40}+
    (?P<call> (?:[A-Za-z_][\w.:!]{0,40}+)?+ \( )?+ [ \t]{0,40}+            # SecretStr(
    (?: \\?+ \n [ \t]{0,80}+ (?=[bBrRuUfF]{0,2}["']) )?+           # the literal may be on the next line
    (?: [bBrRuUfFL@$]{1,2}+ (?=["'`]) )?+                           # b"  f"
    (?P<quote> \\?(?:\"\"\"|'''|["'`]) | )
    """,
    re.VERBOSE | re.ASCII,
)
_BARE = re.compile(r"[^\s\"'`,;:=<>(){}\[\]&|\\]{8,200}+={0,2}+")
"""An unquoted literal."""
_ELEMENT = re.compile(r"[^\s<>]{8,200}+(?=</)")
_EXPRESSION = re.compile(r"[A-Za-z_$][\w.$]*+", re.ASCII)
_ATTRIBUTE = re.compile(r"[A-Za-z_$]\w*+(?:(?:\.|::|->|\?\.)[A-Za-z_]\w*+)++[.:]?", re.ASCII)
_AFTER_EXPRESSION: Final = ("(", "[", "{", "`")
"""A bare word before one of these is code, not a literal: a call, an index, a template."""
MAX_LITERAL_CHARS: Final = 1_000

_REFERENCE = re.compile(r"[\s{}<>\\]|\$\(|%\(|^%[sd]|\*\*\*|\.\.\.|://|^[./~$]|\(\)|^\w+\(")
"""Found in literals that are no secrets: templates, paths, URLs, sentences."""
_WORDS = re.compile(r"_*[A-Za-z]+(?:[_.:/ -]+[A-Za-z]+)*[_.:/-]*\d{0,4}[_.:/-]*")
"""Words, optionally followed by a number."""
_WORD = re.compile(r"(?=[a-z]{0,15}?[aeiou])[A-Z]?[a-z]{3,16}|[A-Z]{3,10}(?![a-z])")
_CONSONANTS = re.compile(r"[bcdfghjklmnpqrstvwxz]{6}", re.IGNORECASE)
MAX_SHARE_OF_WORDS, MAX_SHARE_OF_WORDS_STRICT = 0.8, 0.75
"""A literal counts as a name or sentence if words are a larger share of it."""
_HEX = re.compile(r"(?:0x)?[0-9a-fA-F-]+")

_PEM = "-----BEGIN "
_PEM_BEGIN = re.compile(r"-----BEGIN [A-Z0-9 ]{0,40}PRIVATE KEY(?: BLOCK)?-----")
_PEM_END = re.compile(r"-----END [A-Z0-9 ]{0,40}-----")
_PEM_BODY = re.compile(
    r"(?:\\[nr]|[\s\"'`+,()\\.;#*/>|]){0,80}+"
    r"(?:[A-Za-z0-9+/=]{4,}+(?=\\|[\s\"'`]*$|[\"'`]|[ \t]*[\r\n]|-)|[A-Z][\w-]{2,30}: )"
)
"""A line of base64 after the first line of a key; in code that parses keys, the constant has none."""
_PEM_LINES = re.compile(r"[^\n]{0,80}+\n?(?:[ \t]*[\"'`]?[A-Za-z0-9+/=]{4,}+(?:\\[nr])*[\"'`+,\\]*[ \t]*(?:\r?\n|$))*+")
"""The lines of a key whose last line is missing."""
MAX_PEM_CHARS: Final = 100_000


def mask(text: str) -> str:
    """Return `text` with each character of a secret replaced by MASK. This is the definition."""
    return with_pem_masked(text, mask_lines(text))


def start_of_unfinished_key(text: str) -> int:
    """Return the offset of a private key that may continue after `text`; len(text) if there is none."""
    begun = [begin.start() for begin in _PEM_BEGIN.finditer(text, max(0, len(text) - MAX_PEM_CHARS))]
    return begun[-1] if begun and not _PEM_END.search(text, begun[-1]) else len(text)


def n_secrets(masked: str) -> int:
    """Return the number of runs of MASK in a masked text."""
    return masked.count(MASK) and len(re.findall(MASK + "+", masked))


def mask_lines(text: str) -> str:
    """Mask everything except PEM blocks. Each line of the result depends only on that line and the one before."""
    return _replaced(text, sorted({*_tokens(text), *_url_passwords(text), *_assigned(text)}))


def _replaced(text: str, spans: list[Span]) -> str:
    """Return `text` with MASK in these spans, which are sorted by start and may overlap."""
    pieces, done = list[str](), 0
    for start, end in spans:
        if end > done:
            pieces += (text[done : max(start, done)], MASK * (end - max(start, done)))
            done = end
    return "".join((*pieces, text[done:])) if pieces else text


def _tokens(text: str) -> Iterator[Span]:
    for needle, pattern, n_before in TOKEN_FORMATS:
        for at in _places(text, needle):
            starts = range(max(0, at - n_before), at + 1)
            if found := next(filter(None, (pattern.match(text, start) for start in starts)), None):
                yield found.span(pattern.groups)
    yield from (found.span() for found in _DISCORD.finditer(text))


def _url_passwords(text: str) -> Iterator[Span]:
    for at in _places(text, "://"):
        if (found := _URL_PASSWORD.match(text, at)) and found[1].lower().strip("*x.<>my_-") not in _WEAK_PASSWORDS:
            yield found.span(1)


def _assigned(text: str) -> Iterator[Span]:
    lowered = text.lower()
    if len(lowered) != len(text):  # some characters have two in lower case, which would shift offsets
        lowered = "".join(c.lower() if c.isascii() else c for c in text)
    for part in NAME_PARTS:
        for at in _places(lowered, part):
            found = _ASSIGNMENT.match(text, at + len(part))
            if found and (span := _literal(text, found, _strictness(lowered, at, part, found["rest"]))):
                yield span


def _places(text: str, part: str) -> Iterator[int]:
    at = text.find(part)
    while at >= 0:
        yield at
        at = text.find(part, at + len(part))


def _strictness(lowered: str, at: int, part: str, rest: str) -> int | None:
    """How random a literal with this name must look: 0 or, more, 1; None if the name is not that of a secret."""
    last_word = re.split(r"[_-]|(?<=[a-z])(?=[A-Z])", rest.rstrip("_-"))[-1]
    if last_word.lower() in _DESCRIBES:
        return None
    if part != "key":
        return int(part in _STRICT_PARTS)
    before = lowered[max(0, at - 20) : at]
    if _PUBLIC_KEYS.search(before) or rest[:4].lower() == "word":
        return None
    return 0 if _SECRET_KEYS.search(before) else 1


def _literal(text: str, found: re.Match[str], strictness: int | None) -> Span | None:
    """The span of the assigned literal, if it looks random enough."""
    if strictness is None:
        return None
    quote, start, between = found["quote"], found.end(), found["between"]
    if quote:
        stop = text.find("\n", start, start + MAX_LITERAL_CHARS)
        stop = stop if stop >= 0 else min(len(text), start + MAX_LITERAL_CHARS)
        end = text.find(quote, start, stop)
        end = end if end >= 0 else stop
        if between == "," and not found["close"]:
            return None  # two unrelated arguments
    elif between == ">":  # an XML element
        element = _ELEMENT.match(text, start)
        if element is None:
            return None
        end = element.end()
    else:
        bare = _BARE.match(text, start)
        if bare is None or between in (",", "(", "{") or found["call"]:
            return None
        end = bare.end()
        if text[end : end + 1] in _AFTER_EXPRESSION or _ATTRIBUTE.fullmatch(bare[0]):
            return None
        if _EXPRESSION.fullmatch(bare[0]) or between not in ("=", ":"):
            strictness = 1
    return (start, end) if looks_random(text[start:end], strict=strictness > 0) else None


def looks_random(literal: str, *, strict: bool) -> bool:
    """Whether a literal looks like a key or password rather than words, a name, a path, a template or a number."""
    if len(literal) < (16 if strict else 8) or len(set(literal)) < (8 if strict else 5) or _REFERENCE.search(literal):
        return False
    has_letter, has_digit = (any(map(test, literal)) for test in (str.isalpha, str.isdigit))
    if not has_letter:
        return False
    if _WORDS.fullmatch(literal):
        return len(literal) >= 16 and _CONSONANTS.search(literal) is not None and literal.isalnum()
    if _HEX.fullmatch(literal):
        return has_digit and len(literal) >= 16
    has_cases, has_sign = literal.lower() != literal != literal.upper(), re.search(r"[^\w.:/ -]", literal) is not None
    in_words = sum(len(word) for word in _WORD.findall(literal)) / len(literal)
    if strict:
        return has_digit and in_words <= MAX_SHARE_OF_WORDS_STRICT
    return (has_digit or (has_cases and has_sign)) and in_words <= MAX_SHARE_OF_WORDS


def with_pem_masked(text: str, masked: str) -> str:
    """Return `masked` with PEM private keys masked, too; `masked` is `text` with other secrets masked."""
    at, spans, has_end = text.find(_PEM), list[Span](), True
    while at >= 0:
        begin = _PEM_BEGIN.match(text, at)
        done = begin.end() if begin else at + 1
        if begin and (body := _PEM_BODY.match(text, done)):
            end = _PEM_END.search(text, done, done + MAX_PEM_CHARS) if has_end else None
            has_end = end is not None  # if one key has no end, later ones have none: don't search again
            if end:
                done = end.start()
            elif lines := _PEM_LINES.match(text, body.end()):  # its last line is missing, for example while it is typed
                done = lines.end()
            spans.append((begin.end(), done))
        at = text.find(_PEM, done)
    return _replaced(masked, spans)
