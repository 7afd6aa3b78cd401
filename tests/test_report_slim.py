"""Drawings in fewer bytes: what is shared is said once, and nothing that is seen changes."""

from __future__ import annotations

from mmaudit.render.slim import Node, slim, write


def line(x: float, y: float, **more: str) -> Node:
    return Node("line", {"transform": f"translate({x},{y})", "x2": "0", "y2": "9", **more})


def short(*nodes: Node, **attributes: str) -> str:
    return "".join(map(write, slim(Node("g", attributes, list(nodes)))))


def test_lines_of_a_grid_become_one_path() -> None:
    grid = "var(--grid)"
    assert short(line(1, 2, stroke=grid), line(3, 2, stroke=grid), transform="translate(5,0)") == (
        '<g transform="translate(5,0)"><path d="M1,2v9M3,2v9" stroke="var(--grid)"/></g>'
    )
    flat = Node("line", {"x2": "7", "y2": "0"})
    slanted = Node("line", {"x2": "7", "y2": "3"})
    assert short(flat, slanted) == '<path d="M0,0h7M0,0l7,3"/>'


def test_what_would_look_different_joined_stays_apart() -> None:
    faint = short(line(1, 2, opacity="0.4"), line(1, 2, opacity="0.4"))
    assert faint.count("<path") == 2, "two faint strokes over each other are darker than one"
    filled = Node("path", {"d": "M0,0h5v5Z", "fill": "red"})
    assert short(filled, Node("path", {"d": "M2,2h5v5Z", "fill": "red"})).count("<path") == 2
    told = [Node("path", {"d": "M0,0h1"}, tip=tip) for tip in ("one", "two")]
    assert short(*told).count("<title>") == 2
    assert short(line(1, 2, stroke="a"), line(1, 2, stroke="b")).count("<path") == 2


def test_what_every_child_says_is_said_by_the_group() -> None:
    texts = [Node("text", {"transform": f"translate({i},4)", "fill": f}, text="x") for i, f in enumerate("rrb")]
    assert short(*texts) == (
        '<g fill="r"><text y="4">x</text><text x="1" y="4">x</text><text fill="b" x="2" y="4">x</text></g>'
    )


def test_what_one_child_does_not_say_is_not_put_upon_it() -> None:
    told = short(Node("rect", {"fill": "r"}), Node("rect", {"fill": "r"}), Node("rect", {}))
    assert told == '<rect fill="r"/><rect fill="r"/><rect/>'
    blended = short(Node("rect", {"opacity": "0.5"}), Node("rect", {"opacity": "0.5"}))
    assert blended.count("opacity") == 2, "a group blends as a whole"


def test_circles_turned_and_broken_texts_and_sizes() -> None:
    arcs = "M3.5,0A3.5,3.5,0,1,1,-3.5,0A3.5,3.5,0,1,1,3.5,0"
    assert short(Node("path", {"d": arcs, "transform": "translate(1,0)"}, tip="a & b")) == (
        '<circle cx="1" r="3.5"><title>a &amp; b</title></circle>'
    )
    oval = arcs.replace("A3.5,3.5", "A3.5,2", 1)
    assert 'd="M3.5' in short(Node("path", {"d": oval}))
    turned = Node("text", {"transform": "translate(1,2) rotate(-90)", "font-size": "11px"}, text="<y>")
    assert short(turned) == '<text transform="translate(1,2) rotate(-90)" font-size="11">&lt;y&gt;</text>'
    lines = Node("text", {"transform": "translate(1,2)"}, [Node("tspan", {"x": "0"}, text="a")])
    assert "translate(1,2)" in short(lines), "lines of a text have places of their own within it"


def test_groups_that_say_nothing_go() -> None:
    assert short(Node("g", {"transform": "translate(0,0)"}, [Node("rect", {"x": "1"})])) == '<rect x="1"/>'
    assert short(Node("g", {"fill": "r"}, [])) == ""
