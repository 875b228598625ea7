"""The data plane: bytes in, decision, bytes out, observation. Imports no other package of ours."""
