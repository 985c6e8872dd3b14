"""publiccode.yml says what catalogues of public software read: version 0 of that standard."""

from typing import Any

import jsonschema
import yaml

from checks.files import ROOT

FILE = "publiccode.yml"
TEXT = {"type": "string", "minLength": 1}
DESCRIPTION = {
    "type": "object",
    "required": ["shortDescription", "longDescription", "features"],
    "properties": {
        "localisedName": TEXT,
        "genericName": TEXT,
        "shortDescription": {"type": "string", "minLength": 1, "maxLength": 150},
        "longDescription": {"type": "string", "minLength": 150, "maxLength": 10_000},
        "features": {"type": "array", "minItems": 1, "items": TEXT},
        "documentation": TEXT,
    },
    "additionalProperties": False,
}
SCHEMA: dict[str, Any] = {
    "type": "object",
    "required": [
        "publiccodeYmlVersion",
        "name",
        "url",
        "platforms",
        "categories",
        "developmentStatus",
        "softwareType",
        "description",
        "legal",
        "maintenance",
        "localisation",
    ],
    "properties": {
        "publiccodeYmlVersion": {"const": "0"},
        "name": TEXT,
        "url": {"type": "string", "format": "uri", "pattern": "^https://"},
        "landingURL": {"type": "string", "format": "uri"},
        "softwareVersion": TEXT,
        "releaseDate": {"type": "string", "format": "date"},
        "platforms": {"type": "array", "minItems": 1, "items": TEXT},
        "categories": {"type": "array", "minItems": 1, "items": TEXT},
        "developmentStatus": {"enum": ["concept", "development", "beta", "stable", "obsolete"]},
        "softwareType": {
            "enum": [
                "standalone/mobile",
                "standalone/iot",
                "standalone/desktop",
                "standalone/web",
                "standalone/backend",
                "standalone/other",
                "addon",
                "library",
                "configurationFiles",
            ]
        },
        "intendedAudience": {
            "type": "object",
            "properties": {
                "countries": {
                    "type": "array",
                    "items": {"type": "string", "pattern": "^[A-Z]{2}$"},
                },
                "scope": {"type": "array", "items": TEXT},
            },
            "additionalProperties": False,
        },
        "description": {
            "type": "object",
            "minProperties": 1,
            "propertyNames": {"pattern": "^[a-z]{2,3}(-[A-Z]{2})?$"},
            "additionalProperties": DESCRIPTION,
        },
        "legal": {
            "type": "object",
            "required": ["license"],
            "properties": {"license": {"const": "AGPL-3.0-or-later"}, "mainCopyrightOwner": TEXT},
            "additionalProperties": False,
        },
        "maintenance": {
            "type": "object",
            "required": ["type", "contacts"],
            "properties": {
                "type": {"enum": ["internal", "contract", "community", "none"]},
                "contacts": {
                    "type": "array",
                    "minItems": 1,
                    "items": {"type": "object", "required": ["name"]},
                },
            },
            "additionalProperties": False,
        },
        "localisation": {
            "type": "object",
            "required": ["localisationReady", "availableLanguages"],
            "properties": {
                "localisationReady": {"type": "boolean"},
                "availableLanguages": {"type": "array", "minItems": 1, "items": TEXT},
            },
            "additionalProperties": False,
        },
        "dependsOn": {
            "type": "object",
            "properties": {
                "open": {"type": "array", "items": {"type": "object", "required": ["name"]}}
            },
            "additionalProperties": False,
        },
    },
    "additionalProperties": False,
}


def problems() -> str:
    """Return what a catalogue would refuse."""
    # Only strings, as the standard has them: YAML's own dates would not pass as text.
    loader = _Loader((ROOT / FILE).read_text(encoding="utf-8"))
    document = loader.get_single_data()
    checker = jsonschema.FormatChecker()
    errors = jsonschema.Draft202012Validator(SCHEMA, format_checker=checker).iter_errors(document)
    return "\n".join(
        f"{FILE}: {'.'.join(str(step) for step in error.absolute_path)}: {error.message[:200]}"
        for error in errors
    )


class _Loader(yaml.SafeLoader):
    """Reads dates as they are written."""


_Loader.yaml_implicit_resolvers = {
    letter: [(tag, pattern) for tag, pattern in rules if not tag.endswith(":timestamp")]
    for letter, rules in yaml.SafeLoader.yaml_implicit_resolvers.items()
}
