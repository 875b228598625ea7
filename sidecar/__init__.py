"""The application that wires router, evaluator and controller; it holds no logic of theirs."""
