"""What holds for every section of the routing file."""

from types import ModuleType

from pydantic import BaseModel


def assert_described(module: ModuleType) -> None:
    """Every section of ``module`` is closed and strict, and says of each key what it is for."""
    sections = [
        value
        for value in vars(module).values()
        if isinstance(value, type)
        and issubclass(value, BaseModel)
        and value.__module__ == module.__name__
    ]
    assert sections
    for section in sections:
        assert section.model_config["extra"] == "forbid"
        assert section.model_config["strict"] is True
        assert section.__doc__
        if section.__name__ == "Stage":  # its keys are described by the sections they hold
            continue
        for name, field in section.model_fields.items():
            assert field.description, name
