"""Evidence in, new routing table out, and a record of why."""
