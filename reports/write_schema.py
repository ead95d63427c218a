"""Writes reports/ppa.schema.json from the structs: python -m reports.write_schema."""

from reports.schema import SCHEMA, schema_text

if __name__ == "__main__":
    SCHEMA.write_text(schema_text(), encoding="utf-8")
