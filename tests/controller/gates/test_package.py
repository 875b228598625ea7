from controller.gates.package import canonical


def test_names_compare_as_the_index_compares_them() -> None:
    assert (
        canonical("Zope.Interface") == canonical("zope-interface") == canonical("zope__interface")
    )
