"""From declarations to shapes: reads the annotations of a Struct once, when first needed."""

from collections.abc import Iterator
from functools import cache
from types import NoneType, UnionType
from typing import Annotated, Any, Final, Literal, Union, get_args, get_origin

import msgspec

from smg_protocols.faults import Broken
from smg_protocols.shapes import (
    Anything,
    Boolean,
    Choice,
    Custom,
    Integer,
    Lazy,
    Mapping,
    Member,
    Nullable,
    Real,
    Record,
    Sequence,
    Shape,
    Tagged,
    Text,
    Untagged,
)
from smg_protocols.wire import AnyObject, Named, Nested, OneOf, ReadBy, Rule, Ruled

__all__ = ("broken_rules", "shape_of")


@cache
def record_of(declaration: type[msgspec.Struct], name: str) -> Record:
    """Return the shape of a Struct."""
    members = {
        field.encode_name: Member(field.encode_name, shape_of(field.type), field.required)
        for field in msgspec.structs.fields(declaration)
    }
    strict = declaration.__struct_config__.forbid_unknown_fields
    keeps_unknown: bool = getattr(declaration, "keeps_unknown", False)
    return Record(name, declaration, members, strict, keeps_unknown)


def shape_of(annotation: Any, name: str = "") -> Shape:
    """Return the shape that an annotation declares; `name` is what complaints call it."""
    marks, plain = _peel(annotation)
    for mark in marks:
        if isinstance(mark, Named):
            name = mark.name
        elif isinstance(mark, msgspec.Meta) and mark.extra and "shape" in mark.extra:
            declared = mark.extra["shape"]
            assert isinstance(declared, (Integer, Real))
            return declared
    inner, nullable = _without_null(plain)
    declared_shape = _declared(marks, inner, name)
    return Nullable(declared_shape) if nullable else declared_shape


def broken_rules(request: msgspec.Struct) -> Iterator[Broken]:
    """Yield every rule on a single field that the request breaks, in declaration order."""
    for field in msgspec.structs.fields(type(request)):
        value = getattr(request, field.name)
        if value is None:
            continue
        for mark in _all_marks(field.type):
            if isinstance(mark, Nested) and isinstance(value, msgspec.Struct):
                for broken in broken_rules(value):
                    yield broken.within(field.encode_name)
            elif (rule := _rule_of(mark)) is not None:
                found = rule(field.encode_name, value)
                if found is not None:
                    yield found


def _declared(marks: tuple[Any, ...], plain: Any, name: str) -> Shape:
    for mark in marks:
        if isinstance(mark, ReadBy):
            return Custom(mark.reader)
        if isinstance(mark, OneOf):
            return Untagged(mark.name, tuple(map(shape_of, mark.variants)), mark.into)
    return _plain_shape(plain, name)


def _plain_shape(plain: Any, name: str) -> Shape:
    origin, arguments = get_origin(plain), get_args(plain)
    if origin is Annotated:
        return shape_of(plain, name)
    if origin is list:
        return Sequence(shape_of(arguments[0]))
    if origin is dict:
        return Mapping(shape_of(arguments[1]))
    if origin is Literal:
        return Choice(arguments)
    if origin in (Union, UnionType):
        return _union_shape(arguments, name)
    if plain is AnyObject:
        return _ANY_OBJECT
    if isinstance(plain, type) and issubclass(plain, msgspec.Struct):
        if plain.__struct_config__.tag is not None:
            # The fast decoder lets the tag of a lone Struct be absent; a Literal does not.
            raise TypeError(f"{plain.__name__} has a tag but no alternative")
        return Lazy(lambda: record_of(plain, name or plain.__name__))
    return _SCALARS[plain]


def _union_shape(variants: tuple[Any, ...], name: str) -> Shape:
    if not all(isinstance(variant, type) and _tag(variant) for variant in variants):
        return Untagged(name, tuple(map(shape_of, variants)))
    tag_field = variants[0].__struct_config__.tag_field
    return Tagged(name, tag_field, {_tag(each): _variant(each) for each in variants})


def _variant(declaration: type[msgspec.Struct]) -> Shape:
    return Lazy(lambda: record_of(declaration, declaration.__name__))


def _tag(declaration: type) -> str:
    if not issubclass(declaration, msgspec.Struct):
        return ""
    return str(declaration.__struct_config__.tag or "")


def _peel(annotation: Any) -> tuple[tuple[Any, ...], Any]:
    if get_origin(annotation) is Annotated:
        return annotation.__metadata__, annotation.__origin__
    return (), annotation


def _without_null(plain: Any) -> tuple[Any, bool]:
    if get_origin(plain) not in (Union, UnionType):
        return plain, False
    variants = [each for each in get_args(plain) if each is not NoneType]
    if len(variants) == len(get_args(plain)):
        return plain, False
    return Union[tuple(variants)], True  # noqa: UP007 - built at run time


def _all_marks(annotation: Any) -> Iterator[Any]:
    """Yield the marks of a member, also those beside the type in `Annotated[...] | None`."""
    marks, plain = _peel(annotation)
    yield from marks
    inner, nullable = _without_null(plain)
    if nullable:
        yield from _all_marks(inner)


def _rule_of(mark: Any) -> Rule | None:
    if isinstance(mark, Ruled):
        return mark.rule
    if isinstance(mark, msgspec.Meta) and mark.extra and "rule" in mark.extra:
        rule: Rule = mark.extra["rule"]
        return rule
    return None


def _read_any_object(value: object, trail: Any) -> object:
    Mapping(_NOTHING).read(value, trail)
    return AnyObject()


def _read_nothing(value: object, trail: Any) -> object:
    return None


_NOTHING: Final = Custom(_read_nothing)
_ANY_OBJECT: Final = Custom(_read_any_object)
_SCALARS: Final[dict[Any, Shape]] = {
    str: Text(),
    bool: Boolean(),
    msgspec.Raw: Anything(),
}
