"""What one record is about: an entity of a category, a restaurant, or a row of a table.

Why: the data sets and the pre-training text must speak of the same kinds of things; only the names
and the layout differ. Both take their facts from here.
"""

from collections.abc import Sequence

from bench.mini.world import Dice, Triple, choose_facts, draw_facts, draw_value, read_table

# How many facts a record of each kind tells, with the weight of each count.
ENTITY_SIZES = {1: 4.0, 2: 4.0, 3: 4.0, 4: 2.5, 5: 1.5}
RESTAURANT_SIZES = {2: 1.0, 3: 2.0, 4: 3.0, 5: 3.0, 6: 2.0}
ROW_SIZES = {1: 3.0, 2: 4.0, 3: 3.0}
CHAIN_KINDS = ("city", "country", "university", "company", "team")


def list_categories(seen: bool) -> list[str]:
    """The names of the categories that training data has, or of those it lacks."""
    return [name for name, c in read_table("world")["category"].items() if c.get("seen", True) == seen]


def draw_entity(category: str, dice: Dice, held: bool) -> list[Triple]:
    """All facts about a new entity of this category."""
    about = read_table("world")["category"][category]
    name = draw_value(about["name"], dice, held)
    return draw_facts(name, about["name"], about["properties"], held)


def draw_entity_facts(
    category: str, dice: Dice, held: bool, sizes: dict[int, float] = ENTITY_SIZES
) -> list[Triple]:
    return choose_facts(dice, draw_entity(category, dice, held), dice.weighted(sizes), held)


def draw_value_facts(dice: Dice) -> list[Triple]:
    """Facts about a city, a country, a company: what chains of facts end in."""
    kind = dice.pick(CHAIN_KINDS)
    keys = read_table("world")["chain"][kind]
    return dice.shuffled(draw_facts(draw_value(kind, dice), kind, keys, False))[: 1 + dice.below(3)]


def draw_restaurant_facts(dice: Dice, held: bool, sizes: dict[int, float] = RESTAURANT_SIZES) -> list[Triple]:
    """Facts about a restaurant, in the order in which menus of fields list them."""
    keys: Sequence[str] = read_table("world")["restaurant"]["properties"]
    facts = draw_facts(draw_value("restaurant", dice, held), "restaurant", keys, held)
    count = dice.weighted(sizes)
    chosen = {t.property for t in dice.shuffled(facts[1:])[: count - 1]}
    return [t for t in facts if t.property == "eatType" or t.property in chosen]


def draw_row_facts(dice: Dice, held: bool) -> list[Triple]:
    """A table row as DART writes it: its cells, sometimes with the table's title."""
    spec = read_table("world")["table"][dice.pick(list(read_table("world")["table"]))]
    name = draw_value(spec["name"], dice, held).replace("_", " ")
    cells = draw_facts(name, spec["name"], spec["properties"], held)
    row = dice.shuffled(cells)[: dice.weighted(ROW_SIZES)]
    row = [Triple(name, t.property, t.value.replace("_", " "), t.subject_kind, t.value_kind) for t in row]
    if dice.chance(0.4):
        title = draw_table_title(spec["title"], dice, held)
        row = [
            Triple("[TABLECONTEXT]", spec["key"], name, "table", spec["name"]),
            *row,
            Triple("[TABLECONTEXT]", "[TITLE]", title, "table", "title"),
        ]
    return row


def draw_table_title(pattern: str, dice: Dice, held: bool) -> str:
    parts = pattern.replace("}", "{").split("{")
    words = [draw_value(p, dice, held).replace("_", " ") if i % 2 else p for i, p in enumerate(parts)]
    return "".join(words)


def draw_any_facts(dice: Dice) -> list[Triple]:
    """A topic for the pre-training text, from any corner of the world, never a held-out name."""
    corner = dice.weighted({"entity": 70.0, "restaurant": 14.0, "row": 11.0, "value": 5.0})
    if corner == "restaurant":
        return draw_restaurant_facts(dice, False)
    if corner == "row":
        return draw_row_facts(dice, False)
    if corner == "value":
        return draw_value_facts(dice)
    return draw_entity_facts(dice.pick(list(read_table("world")["category"])), dice, False)
