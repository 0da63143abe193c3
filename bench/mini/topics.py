"""What one record is about: an entity of a category, a restaurant, or a row of a table.

Why: the data sets and the pre-training text must speak of the same kinds of things; only the names
and the layout differ. Both take their facts from here.
"""

from collections.abc import Sequence

from bench.mini.world import Dice, Triple, choose, draw, facts, table

# How many facts a record of each kind tells, with the weight of each count.
ENTITY_SIZES = {1: 4.0, 2: 4.0, 3: 4.0, 4: 2.5, 5: 1.5}
RESTAURANT_SIZES = {2: 1.0, 3: 2.0, 4: 3.0, 5: 3.0, 6: 2.0}
ROW_SIZES = {1: 3.0, 2: 4.0, 3: 3.0}
CHAIN_KINDS = ("city", "country", "university", "company", "team")


def categories(seen: bool) -> list[str]:
    """The names of the categories that training data has, or of those it lacks."""
    return [name for name, c in table("world")["category"].items() if c.get("seen", True) == seen]


def entity(category: str, dice: Dice, held: bool) -> list[Triple]:
    """All facts about a new entity of this category."""
    about = table("world")["category"][category]
    name = draw(about["name"], dice, held)
    return facts(name, about["name"], about["properties"], held)


def entity_facts(
    category: str, dice: Dice, held: bool, sizes: dict[int, float] = ENTITY_SIZES
) -> list[Triple]:
    return choose(dice, entity(category, dice, held), dice.weighted(sizes), held)


def value_facts(dice: Dice) -> list[Triple]:
    """Facts about a city, a country, a company: what chains of facts end in."""
    kind = dice.pick(CHAIN_KINDS)
    keys = table("world")["chain"][kind]
    return dice.shuffled(facts(draw(kind, dice), kind, keys, False))[: 1 + dice.below(3)]


def restaurant_facts(dice: Dice, held: bool, sizes: dict[int, float] = RESTAURANT_SIZES) -> list[Triple]:
    """Facts about a restaurant, in the order in which menus of fields list them."""
    keys: Sequence[str] = table("world")["restaurant"]["properties"]
    known = facts(draw("restaurant", dice, held), "restaurant", keys, held)
    count = dice.weighted(sizes)
    kept = {t.property for t in dice.shuffled(known[1:])[: count - 1]}
    return [t for t in known if t.property == "eatType" or t.property in kept]


def row_facts(dice: Dice, held: bool) -> list[Triple]:
    """A table row as DART writes it: its cells, sometimes with the table's title."""
    spec = table("world")["table"][dice.pick(list(table("world")["table"]))]
    name = draw(spec["name"], dice, held).replace("_", " ")
    cells = facts(name, spec["name"], spec["properties"], held)
    told = dice.shuffled(cells)[: dice.weighted(ROW_SIZES)]
    told = [Triple(name, t.property, t.value.replace("_", " "), t.subject_kind, t.value_kind) for t in told]
    if dice.chance(0.4):
        title = table_title(spec["title"], dice, held)
        told = [
            Triple("[TABLECONTEXT]", spec["key"], name, "table", spec["name"]),
            *told,
            Triple("[TABLECONTEXT]", "[TITLE]", title, "table", "title"),
        ]
    return told


def table_title(pattern: str, dice: Dice, held: bool) -> str:
    parts = pattern.replace("}", "{").split("{")
    words = [draw(p, dice, held).replace("_", " ") if i % 2 else p for i, p in enumerate(parts)]
    return "".join(words)


def any_facts(dice: Dice) -> list[Triple]:
    """A topic for the pre-training text, from any corner of the world, never a held-out name."""
    corner = dice.weighted({"entity": 70.0, "restaurant": 14.0, "row": 11.0, "value": 5.0})
    if corner == "restaurant":
        return restaurant_facts(dice, False)
    if corner == "row":
        return row_facts(dice, False)
    if corner == "value":
        return value_facts(dice)
    return entity_facts(dice.pick(list(table("world")["category"])), dice, False)
