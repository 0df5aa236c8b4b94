"""Builds protobuf message types from tables of the fields that are used, without generated code."""

from collections.abc import Mapping
from typing import Any

__all__ = ["build_message_type"]


def build_message_type(package: str, schema: Mapping[str, str], name: str) -> Any:
    """Return the class of a protobuf message. Fields that aren't in the table are skipped when it is read.

    Importing protobuf takes 30 ms, so only who calls this does.

    Parameters
    ----------
    schema : message -> its fields: name, number, type, separated by commas; `*` marks a repeated field, `|` a
        member of the oneof `value`.
    name : the message in it whose class is returned.
    """
    from google.protobuf import descriptor_pb2, descriptor_pool, message_factory  # noqa: PLC0415

    file = descriptor_pb2.FileDescriptorProto(name=f"{package}.proto", package=package, syntax="proto2")
    for message_name, fields in schema.items():
        message = file.message_type.add(name=message_name)
        for field_name, number, kind in (field.split() for field in fields.split(",") if field):
            field = message.field.add(name=field_name, number=int(number))
            field.label = field.LABEL_REPEATED if kind.startswith("*") else field.LABEL_OPTIONAL
            type_name = kind.lstrip("*|")
            if type_name in schema:
                field.type, field.type_name = field.TYPE_MESSAGE, f".{package}.{type_name}"
            else:
                field.type = getattr(field, f"TYPE_{type_name.upper()}")
            if kind.startswith("|"):
                if not message.oneof_decl:
                    message.oneof_decl.add(name="value")
                field.oneof_index = 0
    pool = descriptor_pool.DescriptorPool()  # one of our own: another package may have registered these names
    pool.Add(file)
    return message_factory.GetMessageClass(pool.FindMessageTypeByName(f"{package}.{name}"))
