"""The signatures and fingerprints that records hold: byte for byte as the first records had them.

A record is scored again where its scorer's fingerprint differs from today's, and numbers of different
signatures are not averaged: another wording would do both to every stored run.
"""

from __future__ import annotations

import re
from importlib.metadata import version
from pathlib import Path

import pytest
from tiny_encoders import write_bert, write_distilbert, write_roberta

import bench
from bench import registry
from bench.metric import format_signature
from bench.metrics import bertscore, bleurt
from bench.scoring import golden

HYPOTHESES = ["The cat sat on the mat .", "It's café No. 5 (walking)"]
REFERENCES = [["the cat sat on a mat", "a dog ran", "", "x y"], ["It is Café no. 5 ; walked"]]
TASKS = ("e2e", "webnlg", "dart", "xsum")
PACKAGES = (
    "nltk",
    "rouge_score",
    "sacrebleu",
    "scipy",
    "tokenizers",
    "torch",
    "transformers",
)

SIGNATURES = {  # of a metric in a task, or of one that is the same in all tasks
    "dart/bertscore": (
        "bertscore|"
        "hash:roberta-large_L17_no-idf_version={bert_score}(hug_trans={transformers})_fast-tokenizer|"
        "model:roberta-large|layer:17|idf:no|rescale:no|f1:mean|max-tokens:64,cut|lower|"
        "split:nonword|refs:first3,best|blank-refs:0|weights:HASH|tokenizer:HASH|"
        "version:{bench}|torch:{torch}|transformers:{transformers}|tokenizers:{tokenizers}"
    ),
    "e2e/bleu": "nrefs:var|case:lc|eff:no|tok:13a|smooth:exp|version:{sacrebleu}|blank-refs:omitted",
    "xsum/bleu": "nrefs:var|case:lc|eff:no|tok:13a|smooth:exp|version:{sacrebleu}|blank-refs:omitted",
    "webnlg/bleu": (
        "nrefs:3|case:mixed|eff:no|tok:none|smooth:none|version:{sacrebleu}|lower|"
        "ascii:text-unidecode|split:nonword|refs:first3|blank-refs:length0"
    ),
    "dart/bleu": (
        "nrefs:3|case:mixed|eff:no|tok:none|smooth:none|version:{sacrebleu}|lower|"
        "split:nonword|refs:first3|blank-refs:length0"
    ),
    "webnlg/bleu_no_blank": (
        "nrefs:var|case:mixed|eff:no|tok:none|smooth:none|version:{sacrebleu}|lower|"
        "ascii:text-unidecode|split:nonword|refs:first3|blank-refs:omitted"
    ),
    "dart/bleu_no_blank": (
        "nrefs:var|case:mixed|eff:no|tok:none|smooth:none|version:{sacrebleu}|lower|"
        "split:nonword|refs:first3|blank-refs:omitted"
    ),
    "dart/bleurt": (
        "bleurt|checkpoint:bleurt-test|known-scores:yes|lower|split:nonword|refs:first1|"
        "max-tokens:128,longer-cut|weights:HASH|tokenizer:HASH|version:{bench}|torch:{torch}|"
        "transformers:{transformers}|tokenizers:{tokenizers}"
    ),
    "cider": (
        "impl:bench|version:1|like:coco-caption|case:lc|tok:ptb-corenlp-3.4.1-nopunct|"
        "ptb:bench-1|order:4|sigma:6|idf:these-refs|refs:nonblank"
    ),
    "e2e/meteor": (
        "METEOR|version:1.5|lang:en|norm|task:rank|case:lower|case:lc|"
        "tok:ptb-corenlp-3.4.1-nopunct|ptb:bench-1|refs:all|impl:bench|data:94dc83ef"
    ),
    "webnlg/meteor": (
        "METEOR|version:1.5|lang:en|norm|task:rank|case:lower|ascii:text-unidecode|"
        "split:nonword|refs:first3|impl:bench|data:94dc83ef"
    ),
    "dart/meteor": (
        "METEOR|version:1.5|lang:en|norm|task:rank|case:lower|split:nonword|refs:first3|"
        "impl:bench|data:94dc83ef"
    ),
    "xsum/meteor": ("METEOR|version:1.5|lang:en|norm|task:rank|case:lower|refs:all|impl:bench|data:94dc83ef"),
    "dart/moverscore": (
        "moverscore|as:v2-2020|model:distilbert-base-uncased|layer:last|ngram:1|idf:own-side|"
        "subwords:dropped|punctuation:dropped|value:1-emd|max-tokens:64,cut|lower|"
        "split:nonword|refs:first1|no-words:1,0of2|weights:HASH|tokenizer:HASH|"
        "version:{bench}|torch:{torch}|transformers:{transformers}|tokenizers:{tokenizers}|"
        "scipy:{scipy}"
    ),
    "nist": (
        "impl:bench|version:1|like:pymteval|n:5|case:lc|tok:13a|refs:nonblank|"
        "info:evaluated-set|sacrebleu:{sacrebleu}"
    ),
    "e2e/nist_mteval": (
        "impl:bench|version:1|like:mteval-v13a|n:5|case:ascii-lc|tok:13a|refs:nonblank|"
        "info:evaluated-set|sacrebleu:{sacrebleu}"
    ),
    "rouge1": (
        "rouge-score|version:{rouge_score}|rouge1|measure:f1|mean:items|case:lower|"
        "words:a-z0-9(other letters dropped)|stem:nltk-{nltk}-porter(len>3)|"
        "nrefs:best-f-of-several"
    ),
    "rouge1_155": (
        "as-ROUGE-1.5.5|options:none|rouge-score|version:{rouge_score}|rouge1|measure:f1|"
        "mean:items|case:lower|words:a-z0-9(other letters dropped)|stem:none|"
        "nrefs:best-f-of-several"
    ),
    "rouge1_155m": (
        "as-ROUGE-1.5.5|options:-m|rouge-score|version:{rouge_score}|rouge1|measure:f1|"
        "mean:items|case:lower|words:a-z0-9(other letters dropped)|"
        "stem:wordnet-exceptions(meteor-1.5.jar,sha256:5feb8fcb5b34,as-2.0)+porter-155(len>3)|"
        "nrefs:best-f-of-several"
    ),
    "rouge1_original": (
        "rouge-score|version:{rouge_score}|rouge1|measure:f1|"
        "mean:batches-of-10-of-bootstrap-medians(n=1000,seed=101)|case:lower|"
        "words:a-z0-9(other letters dropped)|stem:nltk-{nltk}-porter(len>3)|"
        "nrefs:best-f-of-several"
    ),
    "rouge2": (
        "rouge-score|version:{rouge_score}|rouge2|measure:f1|mean:items|case:lower|"
        "words:a-z0-9(other letters dropped)|stem:nltk-{nltk}-porter(len>3)|"
        "nrefs:best-f-of-several"
    ),
    "rouge2_155": (
        "as-ROUGE-1.5.5|options:none|rouge-score|version:{rouge_score}|rouge2|measure:f1|"
        "mean:items|case:lower|words:a-z0-9(other letters dropped)|stem:none|"
        "nrefs:best-f-of-several"
    ),
    "rouge2_155m": (
        "as-ROUGE-1.5.5|options:-m|rouge-score|version:{rouge_score}|rouge2|measure:f1|"
        "mean:items|case:lower|words:a-z0-9(other letters dropped)|"
        "stem:wordnet-exceptions(meteor-1.5.jar,sha256:5feb8fcb5b34,as-2.0)+porter-155(len>3)|"
        "nrefs:best-f-of-several"
    ),
    "rouge2_original": (
        "rouge-score|version:{rouge_score}|rouge2|measure:f1|"
        "mean:batches-of-10-of-bootstrap-medians(n=1000,seed=101)|case:lower|"
        "words:a-z0-9(other letters dropped)|stem:nltk-{nltk}-porter(len>3)|"
        "nrefs:best-f-of-several"
    ),
    "rougeL": (
        "rouge-score|version:{rouge_score}|rougeL|measure:f1|mean:items|case:lower|"
        "words:a-z0-9(other letters dropped)|stem:nltk-{nltk}-porter(len>3)|"
        "nrefs:best-f-of-several|sentences:whole-text"
    ),
    "rougeL_155": (
        "as-ROUGE-1.5.5|options:none|rouge-score|version:{rouge_score}|rougeL|measure:f1|"
        "mean:items|case:lower|words:a-z0-9(other letters dropped)|stem:none|"
        "nrefs:best-f-of-several|sentences:whole-text"
    ),
    "rougeL_155m": (
        "as-ROUGE-1.5.5|options:-m|rouge-score|version:{rouge_score}|rougeL|measure:f1|"
        "mean:items|case:lower|words:a-z0-9(other letters dropped)|"
        "stem:wordnet-exceptions(meteor-1.5.jar,sha256:5feb8fcb5b34,as-2.0)+porter-155(len>3)|"
        "nrefs:best-f-of-several|sentences:whole-text"
    ),
    "rougeL_original": (
        "rouge-score|version:{rouge_score}|rougeL|measure:f1|"
        "mean:batches-of-10-of-bootstrap-medians(n=1000,seed=101)|case:lower|"
        "words:a-z0-9(other letters dropped)|stem:nltk-{nltk}-porter(len>3)|"
        "nrefs:best-f-of-several|sentences:whole-text"
    ),
    "rouge_l": (
        "impl:bench|version:1|like:coco-caption|case:lc|tok:ptb-corenlp-3.4.1-nopunct|"
        "ptb:bench-1|beta:1.2|refs:max-p,max-r|refs:nonblank"
    ),
    "e2e/ter": (
        "impl:bench|as:tercom-0.7.25|case:lower|split:nonword|beam:20|shift:10words,50far|"
        "long:20000words-unshifted|refs:first3,min-edits,mean-length|blank-refs:skipped"
    ),
    "dart/ter": (
        "impl:bench|as:tercom-0.7.25|case:lower|split:nonword|beam:20|shift:10words,50far|"
        "long:20000words-unshifted|refs:first3,min-edits,mean-length|blank-refs:skipped"
    ),
    "xsum/ter": (
        "impl:bench|as:tercom-0.7.25|case:lower|split:nonword|beam:20|shift:10words,50far|"
        "long:20000words-unshifted|refs:first3,min-edits,mean-length|blank-refs:skipped"
    ),
    "webnlg/ter": (
        "impl:bench|as:tercom-0.7.25|case:lower|ascii:text-unidecode|split:nonword|beam:20|"
        "shift:10words,50far|long:20000words-unshifted|refs:first3,min-edits,mean-length|"
        "blank-refs:skipped"
    ),
}
FINGERPRINTS = {
    "dart/bleu": "74b4e284614e",
    "dart/meteor": "2ff6929cf055",
    "dart/ter": "914247480487",
    "e2e/bleu": "867948e751b5",
    "e2e/nist": "649ecc7e6e72",
    "e2e/nist_mteval": "4f445a2b1767",
    "e2e/meteor": "6b885bcb3d2b",
    "e2e/rouge_l": "3fdf2ec8797b",
    "e2e/cider": "e27636427656",
    "webnlg/bleu": "4776dbcb8772",
    "webnlg/meteor": "17e09367fcc7",
    "webnlg/ter": "2b0afbb09f6f",
    "xsum/rouge1": "a970875c96bb",
    "xsum/rouge2": "276b0634d642",
    "xsum/rougeL": "e171819c0e82",
    "xsum/rouge1_155m": "843b6ae91a84",
    "xsum/rouge2_155m": "33fb29269a45",
    "xsum/rougeL_155m": "6a48bd36aedf",
}
"""Golden outputs' fingerprints with the versions of ``FINGERPRINTS_OF``."""
FINGERPRINTS_OF = {"sacrebleu": "2.6.0", "rouge-score": "0.1.2", "nltk": "3.10.4"}


@pytest.fixture(scope="module")
def checkpoints(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Checkpoints of the names that the scores look for, with random weights."""
    folder = tmp_path_factory.mktemp("models")
    write_roberta(folder / "roberta-large", layers=17)
    write_distilbert(folder / "distilbert-base-uncased")
    write_bert(folder / "bleurt-test", head=True, positions=160)
    return folder


@pytest.mark.parametrize("task", TASKS)
def test_signatures_are_what_records_hold(
    task: str, checkpoints: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BENCH_MODELS", str(checkpoints))
    monkeypatch.setattr(bleurt, "check_known_scores", lambda regressor, path: None)
    versions = {name: version(name.replace("_", "-")) for name in PACKAGES}
    versions["bert_score"] = bertscore.import_package().__version__
    compared = 0
    for name in registry.metrics():
        metric = registry.find_metric(task, name)
        expected = SIGNATURES.get(f"{task}/{name}", SIGNATURES.get(name))
        if metric is None:
            assert expected is None
            continue
        assert expected is not None
        signature = format_signature(metric.score(HYPOTHESES, REFERENCES).signature)
        signature = re.sub(r"\|(weights|tokenizer):[0-9a-f]{12}(?=\|)", r"|\1:HASH", signature)
        assert signature == expected.format(bench=bench.__version__, **versions)
        compared += 1
    assert compared == {"dart": 22, "e2e": 19, "webnlg": 19, "xsum": 18}[task]


@pytest.mark.parametrize("case", FINGERPRINTS)
def test_golden_outputs_have_the_fingerprints_that_records_hold(case: str) -> None:
    for package, expected in FINGERPRINTS_OF.items():
        if version(package) != expected:
            pytest.skip(f"the fingerprints here are of {package} {expected}; its version is part of them")
    task, metric = case.split("/")
    assert golden.judge_scorer(task, metric).fingerprint == FINGERPRINTS[case]


def test_every_golden_value_has_a_fingerprint_here() -> None:
    assert set(FINGERPRINTS) == {
        f"{task}/{metric}"
        for task in golden.list_golden_tasks()
        for metric in golden.read_golden_outputs(task)["expected"]
    }
