"""Recipes: what is accepted, what is refused and in which words, and how they are addressed."""

import re
from pathlib import Path
from typing import Any

import jsonschema_rs
import msgspec
import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from safelight.config import Settings
from safelight.errors import ConfigurationError, RecipeInvalid, UnknownRecipe
from safelight.operations import catalogue
from safelight.operations.auto_orient import AutoOrient
from safelight.operations.watermark import Watermark
from safelight.recipes import Book, build, canonical, default, digest, lines_of, mistakes, parse, schema
from safelight.recipes.reading import MAX_MISTAKES

GOOD = """
version: 1
steps:
  upright: {op: auto_orient}
  mark: {op: watermark, use: upright, text: "© Amodhbh Media", size: 4%, margin: 20}
outputs:
  main: {use: mark, format: same, quality: keep, primary: true}
  small: {use: upright, format: webp, quality: 80}
"""


def recipe(steps: Any = None, outputs: Any = None, **more: Any) -> dict[str, Any]:
    """A recipe that uses one step, `mark`."""
    mark = {"op": "watermark", "text": "x"}
    return {
        "version": 1,
        "steps": {"mark": mark} if steps is None else steps,
        "outputs": {"main": {"use": "mark"}} if outputs is None else outputs,
    } | more


def test_yaml_and_json_say_the_same() -> None:
    """A recipe means the same in YAML and in its canonical JSON."""
    read = parse(GOOD.encode())
    assert parse(canonical(read)) == read
    assert read.chain("main") == (AutoOrient(), Watermark(use="upright", text="© Amodhbh Media", margin=20))
    assert read.chain("small") == (AutoOrient(),)


def test_the_address_is_by_meaning() -> None:
    """Order, spacing and written-out defaults do not change a recipe's digest; a parameter does."""
    a = parse(b"{version: 1, steps: {m: {op: watermark, text: x}}, outputs: {o: {use: m}}}")
    b = parse(
        b"outputs:\n  o: {format: same, use: m, primary: true}\n"
        b"steps:\n  m: {opacity: 0.6, text: x, op: watermark}\nversion: 1"
    )
    c = parse(b"{version: 1, steps: {m: {op: watermark, text: y}}, outputs: {o: {use: m}}}")
    assert digest(a) == digest(b) != digest(c)
    assert re.fullmatch(r"[0-9a-f]{64}", digest(a))


def test_a_step_works_on_the_original_unless_it_says_otherwise() -> None:
    """`use` may be left out, for steps and for outputs; then no step at all is needed."""
    assert parse(b"{version: 1, outputs: {copy: {}}}").chain("copy") == ()


def test_the_first_output_is_primary_unless_one_says_so() -> None:
    """Exactly one output is primary in a checked recipe."""
    first = build(recipe(outputs={"a": {"use": "mark"}, "b": {}}))
    second = build(recipe(outputs={"a": {"use": "mark"}, "b": {"primary": True}}))
    assert [name for name, output in first.outputs.items() if output.primary] == ["a"]
    assert [name for name, output in second.outputs.items() if output.primary] == ["b"]


def marked(**parameters: Any) -> dict[str, Any]:
    return recipe({"mark": {"op": "watermark", "text": "x"} | parameters})


WATERMARK = [field.encode_name for field in msgspec.structs.fields(Watermark)]
A_LIST = "a list of avif, gif, jpeg, png or webp"


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (
            None,
            "the recipe is empty; expected the fields version, steps, chain, outputs, limits, metadata, sanitize",
        ),
        ([], "expected the fields version, steps, chain, outputs, limits, metadata, sanitize, received []"),
        (recipe(version=2), "version: expected 1, received 2"),
        (recipe(steps=[]), "steps: expected names with a value each, received []"),
        (recipe(outputs={}), "outputs: expected 1 to 50 entries, received 0"),
        (
            recipe(limit={}),
            "limit: there is no such field; there are: version, steps, chain, outputs, limits, metadata, sanitize",
        ),
        ({"version": 1}, "outputs: expected names with a value each, but it is missing"),
        (
            marked(gravity="centre"),
            (
                "steps.mark.gravity: expected center, east, north, north_east, north_west, south, "
                "south_east, south_west or west, received 'centre'; did you mean center?"
            ),
        ),
        (
            recipe(outputs={"main": {"use": "mark", "format": "jpg"}}),
            (
                f"outputs.main.format: expected auto, avif, gif, jpeg, png, same or webp or {A_LIST}, "
                "received 'jpg'; did you mean jpeg?"
            ),
        ),
        (
            recipe(outputs={"main": {"use": "mark", "format": ["png", "jpg"]}}),
            (
                f"outputs.main.format: expected auto, avif, gif, jpeg, png, same or webp or {A_LIST}, "
                "received ['png', 'jpg']; did you mean jpeg?"
            ),
        ),
        (marked(opacity=7), "steps.mark.opacity: expected a number from 0 to 1, received 7"),
        (marked(opacity="0.5"), "steps.mark.opacity: expected a number from 0 to 1, received '0.5'"),
        (
            marked(size="12x"),
            "steps.mark.size: expected an integer from 1 to 10000 or a percentage such as '4%', received '12x'",
        ),
        (
            marked(margin="-1%"),
            "steps.mark.margin: expected an integer from 0 to 10000 or a percentage such as '4%', received '-1%'",
        ),
        (marked(text=""), "steps.mark.text: expected text of 1 to 500 characters, received ''"),
        (marked(text="a\tb"), "steps.mark.text: expected text of 1 to 500 characters, received 'a\\tb'"),
        (marked(text="© 写真 写"), "steps.mark.text: the font has no letters for '写', '真'"),
        (
            marked(text="a\u200dשלום"),
            "steps.mark.text: the font has no letters for '\\u200d', 'ש', 'ל', 'ו', 'ם'",
        ),
        (
            marked(text="一二三四五六七八九十"),
            "steps.mark.text: the font has no letters for '一', '二', '三', '四', '五', '六', '七', '八' and 2 more",
        ),
        (marked(colour="red"), "steps.mark.colour: expected a colour such as '#ffffff', received 'red'"),
        (
            marked(weight=1),
            f"steps.mark.weight: there is no such field; there are: {', '.join(WATERMARK)}",
        ),
        (
            recipe({"mark": {"op": "watermark"}}),
            "steps.mark.text: expected either a text or an image, and neither is given",
        ),
        (recipe({"mark": 5}), "steps.mark: expected fields such as op: auto_orient, received 5"),
        (
            recipe({"mark": {"op": []}}),
            f"steps.mark.op: expected one of {', '.join(catalogue())}, received []",
        ),
        (marked(use="up"), "steps.mark.use: there is no step 'up'; there are: original, mark"),
        (marked(use="mark"), "steps.mark.use: steps that use each other in a circle: mark → mark"),
        (
            recipe(
                {"a": {"op": "auto_orient", "use": "b"}, "b": {"op": "auto_orient", "use": "a"}}, {"o": {}}
            ),
            "steps.a.use: steps that use each other in a circle: a → b → a",
        ),
        (recipe(outputs={"main": {}}), "steps.mark: no output uses this step"),
        (
            recipe(outputs={"main": {"use": "thumb"}}),
            "outputs.main.use: there is no step 'thumb'; there are: original, mark",
        ),
        (
            recipe(outputs={"a": {"use": "mark", "primary": True}, "b": {"primary": True}}),
            "outputs.b.primary: only one output can be primary, and 'a' is",
        ),
        (
            recipe(outputs={"main": {"use": "mark", "quality": 101}}),
            "outputs.main.quality: expected auto or keep or an integer from 1 to 100, received 101",
        ),
        (
            recipe(outputs={"main": {"use": "mark", "format": "bmp"}}),
            f"outputs.main.format: expected auto, avif, gif, jpeg, png, same or webp or {A_LIST}, received 'bmp'",
        ),
        (
            recipe(outputs={"../up": {"use": "mark"}}),
            "outputs.../up: expected a name of a-z, 0-9, - and _, 40 at most, received '../up'",
        ),
        (
            recipe({"original": {"op": "auto_orient"}}, {"o": {}}),
            "steps: 'original' means the uploaded picture; call the step otherwise",
        ),
    ],
)
def test_what_is_wrong_is_said_exactly(content: Any, message: str) -> None:
    """A refused recipe names the place, what was expected there and what was received."""
    with pytest.raises(RecipeInvalid) as caught:
        build(content)
    assert caught.value.message.partition(" (the first of ")[0] == message


HUGE: list[Any] = ["x" * 50_000, ["x" * 900] * 900, {"x" * 900: "x" * 900}, 16**9000, "©" * 50_000]


@pytest.mark.parametrize("huge", HUGE, ids=["text", "list", "mapping", "number", "signs"])
def test_a_complaint_is_short_whatever_was_sent(huge: Any) -> None:
    """However large a wrong value or name is, little of it comes back."""
    key = str(huge) if isinstance(huge, list | dict) else huge
    for content in (
        huge,
        recipe(steps=huge),
        recipe(steps={"mark": huge}),
        recipe(steps={"mark": {"op": huge}}),
        recipe(steps={key: {}}),
        recipe(outputs=huge),
        recipe(outputs={"main": {"use": huge}}),
        recipe(version=huge),
        marked(text=huge),
        marked(x=1) | {key: huge},
    ):
        with pytest.raises(RecipeInvalid) as caught:
            build(content)
        assert len(caught.value.message) < 600


def test_a_complaint_about_lists_within_lists_is_cheap() -> None:
    """Aliases let a few bytes of YAML stand for billions of values; none of them is written out."""
    bomb = "[x]"
    for number in range(30):
        bomb = f"[&a{number} {bomb}" + f", *a{number}" * 8 + "]"
    with pytest.raises(RecipeInvalid, match=r"^steps: expected names") as caught:
        parse(f"{{version: 1, outputs: {{a: {{}}}}, steps: {bomb}}}".encode())
    assert len(caught.value.message) < 300


@pytest.mark.parametrize(
    "text", [b"{", b"a: [", b"\xff\xfe\xff", b"- &a [*a]", b"!!python/object:os.system {}"]
)
def test_what_can_not_be_read_is_refused(text: bytes) -> None:
    """Text that is neither YAML nor JSON, or asks the reader for more than data, is refused."""
    with pytest.raises(RecipeInvalid):
        parse(text)


def test_a_recipe_has_a_longest_length() -> None:
    """A recipe of more than 350 kB is refused before it is read."""
    with pytest.raises(RecipeInvalid, match="350000 are allowed"):
        parse(b" " * 350_001)


@given(st.binary(max_size=200) | st.from_regex(r"\{?version: 1[\s\S]{0,100}").map(str.encode))
def test_nothing_but_recipe_invalid_comes_out(text: bytes) -> None:
    """Whatever the bytes, the answer is a recipe or RecipeInvalid, and looking for its line is no error."""
    try:
        read = parse(text)
    except RecipeInvalid:
        wrong = mistakes(text)
        assert len(lines_of(text, wrong)) == len(wrong)
        return
    assert parse(canonical(read)) == read


def test_the_schema_is_made_of_the_code() -> None:
    """Every operation stands in the JSON Schema with the names that recipes use, and its defaults fit it."""
    document = schema()
    definitions = document["$defs"]
    assert definitions["Recipe"]["properties"]["steps"]["additionalProperties"]["discriminator"][
        "mapping"
    ] == {name: f"#/$defs/{operation.__name__}" for name, operation in catalogue().items()}
    size = definitions["Watermark"]["properties"]["size"]
    assert size["default"] == "4%"
    assert "Operation" not in definitions
    assert msgspec.json.decode(msgspec.json.encode(document)) == document


@pytest.mark.parametrize(
    "text",
    [
        GOOD,
        "{version: 1, outputs: {copy: {}}}",
        "{version: 1, chain: [auto_orient, {op: watermark, text: x}]}",
        "{version: 1, outputs: {o: {format: [webp, jpeg], max_bytes: 9000, animation: first}}, limits: {pixels: 64M}}",
    ],
)
def test_the_schema_takes_what_is_taken(text: str) -> None:
    """A recipe that is accepted is valid by the JSON Schema, as it was written and in its canonical form."""
    check = jsonschema_rs.validator_for(schema())
    assert check.is_valid(yaml.safe_load(text))
    assert check.is_valid(msgspec.json.decode(canonical(parse(text.encode()))))


@pytest.mark.parametrize(
    "content",
    [
        {"version": 1},
        {"version": 2, "outputs": {"o": {}}},
        {"version": 1, "outputs": {"o": {"format": []}}},
        {"version": 1, "outputs": {"o": {"format": "bmp"}}},
        {"version": 1, "chain": [{"op": "nothing"}]},
        {"version": 1, "chain": ["auto_orient"], "steps": {}},
        {"version": 1, "steps": {"a": {"op": "rotate"}}, "outputs": {"o": {"use": "a"}}},
    ],
)
def test_the_schema_refuses_what_is_refused(content: Any) -> None:
    """What `build` refuses for its form, the JSON Schema refuses, too."""
    assert not jsonschema_rs.validator_for(schema()).is_valid(content)
    with pytest.raises(RecipeInvalid):
        build(content)


def test_a_chain_is_steps_one_after_the_other() -> None:
    """The short form means the same as the long one, and outputs are of its end."""
    short = parse(
        b"{version: 1, chain: [auto_orient, {op: watermark, text: x}], outputs: {a: {}, b: {use: original}}}"
    )
    assert short.chain("a") == (AutoOrient(), Watermark(use="step1", text="x"))
    assert short.chain("b") == ()
    assert list(parse(b"{version: 1, chain: [auto_orient]}").outputs) == ["main"]
    for wrong in ("[]", "[{use: a}]", "5", "[auto_orient], steps: {}"):
        with pytest.raises(RecipeInvalid, match=r"^chain"):
            parse(f"{{version: 1, chain: {wrong}}}".encode())


def test_a_list_of_formats_is_a_file_each() -> None:
    """Files are named by output and format; the first of the primary output is primary."""
    files = build({"version": 1, "outputs": {"a": {"format": ["avif", "jpeg"]}, "b": {}}}).files()
    assert [(file.name, file.format, file.primary) for file in files] == [
        ("a-avif", "avif", True),
        ("a-jpeg", "jpeg", False),
        ("b", "same", False),
    ]
    for outputs, message in (
        ({"a": {"format": ["avif", "avif"]}}, "outputs.a.format: a format is named twice"),
        ({"a": {"format": ["avif"]}, "a-avif": {}}, "outputs.a.format: one of its files would be called"),
        ({"a": {"max_bytes": "0kB"}}, "outputs.a.max_bytes: expected 1 to 1000000000 bytes, received '0kB'"),
        ({"a": {"max_bytes": "2000MB"}}, "outputs.a.max_bytes: expected 1 to 1000000000 bytes"),
        ({"a": {"max_bytes": "5 KB"}}, "outputs.a.max_bytes: expected"),
        ({"a": {"max_bytes": "200kB\n"}}, "outputs.a.max_bytes: expected"),
        ({"a": {"format": "png", "max_bytes": 5}}, "outputs.a.max_bytes: png has no quality"),
    ):
        with pytest.raises(RecipeInvalid, match=f"^{message}"):
            build({"version": 1, "outputs": outputs})


def test_limits_are_numbers_whatever_their_unit() -> None:
    """`64M` and 64000000 are one recipe."""
    one, other = (
        build({"version": 1, "outputs": {"a": {}}, "limits": {"pixels": p}}) for p in ("64M", 64_000_000)
    )
    assert digest(one) == digest(other)


def test_bytes_are_numbers_whatever_their_unit() -> None:
    """`200kB` and 200000 are one recipe."""
    one, other = (
        build({"version": 1, "outputs": {"a": {"format": "jpeg", "max_bytes": most}}})
        for most in ("200kB", 200_000)
    )
    assert one.outputs["a"].max_bytes == 200_000
    assert digest(one) == digest(other)


def test_old_recipes_keep_their_address() -> None:
    """Fields that came later do not change the digest of a recipe that says nothing of them."""
    address = "cfda417591f1b0e9834e20e6cb21e19422bc46b6d38870b594a59c43516937a8"
    assert digest(default("© Amodhbh Media")) == address


def test_every_mistake_is_told() -> None:
    """One look finds all of them, and a right recipe has none."""
    text = (
        b"{version: 2, steps: {a: {op: watermark, text: x, opacity: 7, sise: 1}, b: {op: nope}, "
        b"c: {op: auto_orient, use: zz}}, outputs: {o: {use: a, format: bmp}}, z: 1}"
    )
    assert {mistake.path for mistake in mistakes(text)} == {
        "z",
        "steps.a.opacity",
        "steps.a.sise",
        "steps.b.op",
        "steps.c.use",
        "outputs.o.format",
        "version",
    }
    assert mistakes(GOOD.encode()) == ()


def test_the_default_recipe() -> None:
    """The built-in recipe sets upright and marks the lower right corner, in the original's format and quality."""
    built = default("© Amodhbh Media")
    upright, mark = built.chain("main")
    assert isinstance(upright, AutoOrient)
    assert isinstance(mark, Watermark)
    assert (mark.text, mark.gravity) == ("© Amodhbh Media", "south_east")
    assert (built.outputs["main"].format, built.outputs["main"].quality) == ("same", "keep")


def test_the_book_holds_the_folder(tmp_path: Path) -> None:
    """Recipe files are known by their name without the ending; one called default replaces the built-in."""
    (tmp_path / "web.yaml").write_text(GOOD)
    (tmp_path / "default.json").write_bytes(canonical(default("mine")))
    (tmp_path / "README.md").write_text("no recipe")
    book = Book(Settings(recipes=str(tmp_path)))
    assert book.names() == ("default", "web")
    assert book.get("web") == parse(GOOD.encode())
    assert book.get("default") == default("mine")
    (tmp_path / "default.json").write_text('{"version": 1, "outputs": {"main": {}},}')
    with pytest.raises(
        ConfigurationError, match=r"default\.json: The recipe is not JSON: .* in line 1, column"
    ):
        Book(Settings(recipes=str(tmp_path)))


def test_an_unknown_name_is_answered_with_the_known_ones() -> None:
    """UnknownRecipe lists what there is."""
    with pytest.raises(UnknownRecipe, match=r"There is no recipe 'thumb'; there are: default\."):
        Book(Settings()).get("thumb")


def test_a_wrong_file_stops_the_start(tmp_path: Path) -> None:
    """A recipe file that is not right is the operator's to mend: ConfigurationError names the file and the place."""
    (tmp_path / "web.yaml").write_text("version: 3\noutputs: {a: {}}")
    with pytest.raises(ConfigurationError, match=r"web\.yaml: version: expected 1, received 3"):
        Book(Settings(recipes=str(tmp_path)))
    with pytest.raises(ConfigurationError, match="there is no folder"):
        Book(Settings(recipes=str(tmp_path / "missing")))
    (tmp_path / "web.yaml").unlink()
    (tmp_path / "web.yaml").mkdir()
    with pytest.raises(ConfigurationError, match=r"web\.yaml: the recipe can not be read: Is a directory\."):
        Book(Settings(recipes=str(tmp_path)))


def test_a_default_recipe_that_is_not_there_stops_the_start(tmp_path: Path) -> None:
    """It would break every upload that names none. The recipes that there are, are named."""
    (tmp_path / "web.yaml").write_text(GOOD)
    message = r"SAFELIGHT_DEFAULT_RECIPE: there is no recipe 'nope'; there are: default, web\."
    with pytest.raises(ConfigurationError, match=message):
        Book(Settings(recipes=str(tmp_path), default_recipe="nope"))
    assert Book(Settings(recipes=str(tmp_path), default_recipe="web")).names() == ("default", "web")


def test_a_watermark_text_that_the_font_can_not_write_stops_the_start() -> None:
    """The operator learns which letters are missing before any picture is marked with empty boxes."""
    with pytest.raises(ConfigurationError, match=r"^SAFELIGHT_WATERMARK_TEXT: .*no letters for '写', '真'"):
        Book(Settings(watermark_text="写真"))


def test_public_files_are_named() -> None:
    """Private is the default and changes no digest; a public output of several formats is several public files."""
    plain = {"version": 1, "steps": {}, "outputs": {"web": {}, "hero": {"format": ["webp", "png"]}}}
    private = build({**plain, "outputs": {"web": {"delivery": "private"}, "hero": plain["outputs"]["hero"]}})  # type: ignore[index]
    assert digest(private) == digest(build(plain))
    assert private.public_files() == frozenset()
    public = build(
        {
            "version": 1,
            "steps": {},
            "outputs": {"web": {}, "hero": {"format": ["webp", "png"], "delivery": "public"}},
        }
    )
    assert public.public_files() == {"hero-webp", "hero-png"}
    assert parse(canonical(public)) == public
    with pytest.raises(RecipeInvalid, match=r"outputs\.web\.delivery: expected private or public"):
        build({"version": 1, "steps": {}, "outputs": {"web": {"delivery": "everybody"}}})


@pytest.mark.parametrize(
    "text",
    [
        b"steps:\n  a: {op: grayscale}\n  a: {op: sepia}\noutputs: {x: {use: a}}\n",
        b'{"steps": {"a": {"op": "grayscale"}, "a": {"op": "sepia"}}, "outputs": {"x": {"use": "a"}}}',
        b"{steps: {a: {op: grayscale, op: sepia}}, outputs: {x: {use: a}}}",
    ],
)
def test_a_name_that_is_there_twice_is_refused(text: bytes) -> None:
    """Readers of YAML and JSON take the last one without a word, and a watermark may be the first."""
    with pytest.raises(RecipeInvalid, match=r"'(a|op)' twice"):
        parse(text)


@pytest.mark.parametrize(
    "text",
    [
        b"? [a, b]\n: c\n",
        b"? {a: b}\n: c\n",
        b"!!map [a, b]\n",
        b"!!map a\n",
        b"!!set [a]\n",
        b"!!omap {a: b}\n",
    ],
)
def test_yaml_that_is_no_mapping_of_names_is_refused(text: bytes) -> None:
    """Whatever its tags call it."""
    with pytest.raises(RecipeInvalid):
        parse(text)


def test_many_mistakes_are_told_of_by_the_first() -> None:
    """Which says how many there are."""
    with pytest.raises(
        RecipeInvalid, match=r"steps.a.op: .* did you mean sepia\? \(the first of 2 mistakes; `safelight"
    ):
        parse(
            b"version: 1\nsteps: {a: {op: sepai}, b: {op: blur, use: a, sigma: -1}}\noutputs: {x: {use: b}}\n"
        )


@pytest.mark.parametrize(
    ("step", "meant"),
    [
        ({"watermark": {"text": "x"}}, "watermark"),
        ({"watermark": None, "text": "x"}, "watermark"),
        ({"use": "original", "resize": 800}, "resize"),
    ],
)
def test_an_operation_as_a_field_is_a_guess_that_is_understood(step: dict[str, Any], meant: str) -> None:
    """As the name of a step's only field, as other tools have it: the complaint says how it is written here."""
    hint = rf"\.op: expected one of .*, received None; did you mean {{op: {meant}, …}}\?$"
    with pytest.raises(RecipeInvalid, match=rf"^steps\.mark{hint}"):
        build(recipe(steps={"mark": step}))
    if "use" not in step:
        with pytest.raises(RecipeInvalid, match=rf"^steps\.step2{hint}"):
            build({"version": 1, "chain": ["auto_orient", step]})
    with pytest.raises(RecipeInvalid, match=r"received None$"):
        build(recipe(steps={"mark": {"text": "x"}}))


LINES = b"""version: 1
chain:
  - auto_orient
  - op: watermark
    text: x

    opacity: 7
  - {op: resize, width: 0}
  - op: redact
    regions:
      - {left: 0, top: 0, width: 10, height: 10}
      - {left: 0, top: 0, width: 10, height: soft}
outputs:
  web:
    format: webm
  "a.b": {}
limits: {frames: none}
sharp: yes
"""


def test_a_mistake_has_its_line() -> None:
    """That of the field which it is about, in a chain and in a list, too; of what is missing, where it would belong."""
    wrong = mistakes(LINES)
    told = dict(zip([mistake.path for mistake in wrong], lines_of(LINES, wrong), strict=True))
    assert told == {
        "sharp": 18,
        "steps.step2.opacity": 7,
        "steps.step3.width": 8,
        "steps.step4.regions.2.height": 12,
        "outputs.web.format": 15,
        "outputs.a.b": 16,
        "limits.frames": 17,
    }
    text = b"steps:\n  mark:\n    op: watermark\n"
    wrong = mistakes(text)
    told = dict(zip([mistake.path for mistake in wrong], lines_of(text, wrong), strict=True))
    assert told == {"version": None, "outputs": None, "steps.mark.text": 2}


@pytest.mark.parametrize(
    ("text", "line"),
    [
        (b"version: 1\noutputs: [\n", 3),
        (b"version: 1\nversion: 1\n", 2),
        (b'{"version": 1,\n}', 2),
        (b"\xff\xfe", None),
    ],
)
def test_what_can_not_be_read_has_the_line_where_that_ends(text: bytes, line: int | None) -> None:
    """Of YAML, of a name that is there twice, and of JSON."""
    wrong = mistakes(text, as_json=text.startswith(b"{"))
    assert lines_of(text, wrong) == [line]
    text = b'{"version": 1, "outputs": {\n\t"a": {},\n\t"a.b": {}}}'
    assert lines_of(text, mistakes(text)) == [3]


def test_a_file_that_is_json_is_read_as_nothing_else() -> None:
    """What YAML forgives other programs do not; where it is malformed is told by line and column."""
    text = b'{"version": 1,\n "outputs": {"main": {}},}\n'
    assert parse(text).outputs.keys() == {"main"}
    with pytest.raises(RecipeInvalid, match=r"^The recipe is not JSON: .* in line 2, column \d+ \(.+\)\.$"):
        parse(text, as_json=True)
    [mistake] = mistakes(text, as_json=True)
    assert "in line 2" in mistake.message
    assert parse(text.replace(b",}", b"}"), as_json=True) == parse(text)
    for other in (b"", b"version: 1", b"\xff", b'"\xff"', b"[" * 100_000, b"NaN"):
        with pytest.raises(RecipeInvalid, match=r"is not JSON|expected the fields|is empty"):
            parse(other, as_json=True)
    said = '{"version": 1, "outputs": {"main": {}}}'
    assert parse(said.encode("utf-8-sig"), as_json=True) == parse(said.encode())
    with pytest.raises(RecipeInvalid, match="save it as UTF-8"):
        parse(said.encode("utf-16"), as_json=True)
    with pytest.raises(RecipeInvalid, match="'a' twice"):
        parse(b'{"a": 1, "a": 2}', as_json=True)


def test_a_short_text_with_endless_mistakes_is_not_read_to_the_end() -> None:
    """YAML may name one wrong part in thousands of places; reading ends when nobody wants to hear of more."""
    keys = ", ".join(f"k{number}: 0" for number in range(1000))
    steps = "\n".join(f"  s{number}: *step" for number in range(40))
    areas = ", ".join(["*area"] * 90)
    text = (
        f"version: 1\nsteps:\n  a: &step\n    op: redact\n    regions: [&area {{{keys}}}, {areas}]\n{steps}\n"
        "outputs: {main: {use: a}}\n"
    ).encode()
    assert len(mistakes(text)) == MAX_MISTAKES
    with pytest.raises(RecipeInvalid, match=f"the first of at least {MAX_MISTAKES} mistakes"):
        parse(text)
