"""Texts on which a converted vocabulary has to agree with the original before it is used."""

from typing import Final

_WORDS: Final = (
    "The quick brown fox isn't here; she'll come, they've gone. DON'T I'D 'sS 'ſ",
    "naïve café Ünïcödé ÀÉÎ ÆØÅ straße ǅungla İstanbul ﬁ ﬂ Ⅷ ½ ² ₃ ① ٣٤٥ १२३ 𝟘𝟙",
    "Привет, мир! Γειά σου Κόσμε. שלום עולם. مرحبا بالعالم، كيف حالك؟ नमस्ते दुनिया สวัสดีชาวโลก",
    "你好，世界。日本語のテキスト、カタカナとひらがな。한국어 텍스트 안녕하세요 㐀䶵𠀀 々〆ー゛゜",
    "🦀👩‍👩‍👧‍👦 👍🏽 🇩🇪 ❤️ \u200d \u200b\u2060 \ufeff zero\u00adwidth \u202eabc\u202c",
    "combining: e\u0301 a\u0308\u0323 \u0301alone क्षि ज़ \u0e33 \u1100\u1161\u11a8 \uac00\u11a8",
    "1 12 123 1234 12345 123456789 3.14159 1,000,000 0xdeadbeef 1e-9 12日34本56 a1b2c3",
    "def f(x: int) -> str:\n\treturn f'{x!r:>10}'  # comment\n\n\nclass A(B):\n    pass\n",
    '<div class="x">&nbsp;</div> https://a.b/c?d=e#f user@example.org C:\\dir\\file.txt ~!@#$%^&*()_+',
    '{"a": [1, 2.5, null, true], "b": "c\\n\\u00e9"}\r\n\r\n| a | b |\r\n|---|:-:|\r\n',
    "CamelCaseWords snake_case_words kebab-case ALLCAPS mixedUP iPhone McDonald's O'Neill",
    "a\u00a0b\u2003c\u3000d\u2028e\u2029f\u0085g\x0bh\x0ci\x1cj\x00k\x7fl\x1bm \ufffd \ue000 \U000e0001",
    "\u0378\u0379 unassigned \U000105ff \U0003ffff x\u0378y \u0378\u0378 \x01\x02a \x03\x04 b",
    "!a !A .com #tag $var %d ?x ~z -flag (a) [b] 'q' \"r\" a.b,c;d:e ...abc --long-option",
    "\u4e00a\u4e001 \u4e00 x\u3042 \u30a2b 1\u4e002 .\u4e00 \u30fb\u309b\u30fc\u3099 \u9fa5\u9fa6",
)
_RUNS: Final = " \n\t\r-=_#*/.~!aA0é中\u00a0\u3000🙂"


def corpus() -> list[str]:
    """The probe: scripts, white space, digits, code, controls, and long runs of one character."""
    texts = list(_WORDS)
    for char in _RUNS:
        texts += [char * count for count in (*range(1, 20), 31, 33, 64, 100, 129, 200, 257)]
        texts += [f"x{char * count}y {char}" for count in (1, 2, 3, 5, 17)]
    spaces = (
        "",
        " ",
        "  ",
        "\n",
        " \n",
        "\n ",
        "\r\n",
        "\t",
        "\n\n  ",
        " \t \n",
        "\u00a0 ",
        "\u3000",
    )
    marks = ("", "a", "1", "1234", ".", "中", "é", "'s", "\u0301", "🙂", "\x01", "\u0378")
    texts += [f"{a}{s}{b}{s}" for a in marks for s in spaces for b in marks]
    code_points = [point for point in range(0x3100) if chr(point).isprintable()]
    texts += ["".join(map(chr, code_points[i : i + 64])) for i in range(0, len(code_points), 64)]
    texts += [" ".join(map(chr, code_points[i : i + 256])) for i in range(0, len(code_points), 256)]
    return texts
