// Gateway: how the parts live together.
