"""How times grow with what one can make larger: vocabulary, document, schema, batch; one thing at a time."""
