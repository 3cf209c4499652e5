import json

import pandas as pd
import pytest

from braintumor.dashboard.comparison import read_comparison, same_pictures
from braintumor.dashboard.leakage_tables import OWN, SHIPPED
from braintumor.datasets import audit, write_audit
from braintumor.evaluation.comparison_schema import LEAK_FREE
from tests.conftest import SHIPPED as MODEL
from tests.dashboard.made_comparison import PUBLISHED, SHARPNESS, write_comparison
from tests.pages.guest import opened, texts

INDEX = pd.DataFrame(
    [
        ("a/Ann Smith.png", "a", "train", "glioma", "p1", "g1"),
        ("a/2.png", "a", "test", "pituitary", "p1", "g1"),
        ("b/1.png", "b", "", "tumor", "p2", "g2"),
    ],
    columns=["path", "dataset", "published_split", "label", "picture", "group"],
)


@pytest.fixture
def server(guest_app, tmp_path, monkeypatch):
    """A server with the shipped model among its models, and an empty data folder."""
    models = tmp_path / "models"
    models.mkdir()
    (models / "efficient_unet").symlink_to(MODEL)
    monkeypatch.setenv("BRAINTUMOR_MODELS_DIR", str(models))
    monkeypatch.setenv("BRAINTUMOR_RESULTS_DIR", str(tmp_path / "results"))
    return tmp_path


def titles(page):
    return [json.loads(chart.proto.spec)["layout"]["title"]["text"] for chart in page.get("plotly_chart")]


def test_shows_the_shipped_audit(server):
    report = json.loads(SHIPPED.read_text(encoding="utf-8"))
    page = opened("leakage.py")
    cards = {card.label: card.value for card in page.metric}
    assert cards["Images"] == f"{report['images']:,}"
    assert cards["Distinct"] == f"{report['distinct_pictures']:,}"
    assert cards["Groups"] == f"{report['groups']:,}"
    share = report["datasets"]["masoud"]["published_test_share_in_train"]
    assert f"**Masoud**: {100 * share:.1f}% of the" in texts(page)
    assert page.dataframe[0].value.loc["Masoud", "Of it with a copy in training"] == pytest.approx(100 * share)
    assert titles(page)[:3] == [
        "Where the copies lie (% of the images of a row)",
        "Copies of a picture",
        "Size of the groups",
    ]
    assert "the public collections" in page.caption[0].value


def test_an_audit_of_ones_own_goes_first_and_names_no_file(server):
    write_audit(audit(INDEX), INDEX, server / "data" / OWN.parent)
    page = opened("leakage.py")
    assert {card.label: card.value for card in page.metric}["Images"] == "3"
    assert "of a collection of this server" in page.caption[0].value
    assert page.dataframe[1].value["Labels"].tolist() == ["Glioma, Pituitary tumor"]
    assert "Ann Smith" not in texts(page) + str([table.value for table in page.dataframe])


def test_a_broken_audit_is_one_sentence_and_the_rest_is_shown(server):
    path = server / "data" / OWN
    path.parent.mkdir(parents=True)
    path.write_text("{", encoding="utf-8")
    page = opened("leakage.py")
    assert "audit.json cannot be used" in page.error[0].value
    assert titles(page) == ["Accuracy, with 95% intervals"]


def test_the_shipped_model_is_measured_with_and_without_copies(server):
    page = opened("leakage.py")
    assert "The app's own model" in [element.value for element in page.subheader]
    assert "python -m braintumor compare" in texts(page)


def test_every_network_stands_with_and_without_leakage(server):
    folder = write_comparison(server / "results")
    page = opened("leakage.py")
    spec = json.loads(page.get("plotly_chart")[-1].proto.spec)
    named = {trace["name"]: trace for trace in spec["data"] if "name" in trace}
    assert list(named) == ["No copy in training", "Copies in training (inflated)"]
    assert len(spec["layout"]["annotations"]) == len(SHARPNESS)
    expected = same_pictures(read_comparison(folder), LEAK_FREE, PUBLISHED)["clean"]
    said = [words for _, words in named["No copy in training"]["customdata"]]
    assert [words.split("%")[0] for words in said] == [f"{100 * value:.1f}" for value in expected]


def test_without_a_model_it_says_so(server):
    (server / "models" / "efficient_unet").unlink()
    assert opened("leakage.py").warning
