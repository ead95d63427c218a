"""The steps of the flow, one file a step."""
