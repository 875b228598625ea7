"""The routing file as pydantic models: every key, its default and what it is for.

What needs two keys to judge is in sidecar/routecheck.py. config/schema.json is generated from
these models (`make schema`); the descriptions are its documentation.
"""
