import pytest

from braintumor.federated.records import (
    ALONE,
    ANSWERED,
    CENTRALLY,
    FEDERATED,
    REFUSED,
    Comparison,
    Round,
    SiteRound,
    Trained,
)
from tests.pages.guest import decoded, drawn, opened, texts


def trained(name, kind, sites, accuracy, poisoned="", epsilon=None):
    rounds = tuple(
        Round(
            number=number,
            sites={
                site: SiteRound(
                    status=REFUSED if site == poisoned else ANSWERED,
                    reason="its update is <b>far</b>" if site == poisoned else "",
                    val_loss=1 / number + place,
                    val_accuracy=0.5,
                    megabytes=2.5,
                )
                for place, site in enumerate(sites)
            },
            changed=True,
            val_loss=1 / number,
            val_accuracy=0.5 + number / 10,
            epsilon=epsilon,
            delta=epsilon and 1e-5,
        )
        for number in (1, 2)
    )
    estimate = {"value": accuracy, "low": accuracy - 0.1, "high": accuracy + 0.1}
    return Trained.model_validate(
        {
            "name": name,
            "kind": kind,
            "partition": "natural",
            "options": {"strategy": "FedAvg"},
            "poisoned": poisoned,
            "sites": {site: {"glioma": 3 + place, "validation": 2} for place, site in enumerate(sites)},
            "rounds": rounds,
            "best": 2,
            "images": 100,
            **dict.fromkeys(("accuracy", "balanced", "auc", "hospital_auc", "hospital_accuracy"), estimate),
            "hospital_images": 50,
            "cpu_seconds": 1.0,
        },
        strict=False,
    )


@pytest.fixture
def results(guest_app, tmp_path, monkeypatch):
    monkeypatch.setenv("BRAINTUMOR_RESULTS_DIR", str(tmp_path / "results"))
    folder = tmp_path / "results" / "federated"
    folder.mkdir(parents=True)
    return folder / "comparison.json"


@pytest.fixture
def written(results):
    cases = (
        trained("central", CENTRALLY, ["all"], 0.9),
        trained("natural", FEDERATED, ["north", "so<i>uth"], 0.8, poisoned="so<i>uth", epsilon=3.5),
        trained("alone: north", ALONE, ["north"], 0.6),
    )
    comparison = Comparison(command="python -m braintumor federated compare", hospital="CS", trained=cases)
    results.write_text(comparison.model_dump_json(), encoding="utf-8")


def test_without_results_it_names_the_command(results):
    page = opened("federated.py")
    assert "python -m braintumor federated compare" in page.info[0].value
    assert not page.header


def test_shows_figures_sites_and_traffic_of_the_file(written):
    page = opened("federated.py")
    table = page.dataframe[0].value
    assert table["Accuracy"].round(6).to_dict() == {"central": 90.0, "natural": 80.0, "alone: north": 60.0}
    assert table.loc["natural", "MB a round"] == 5.0
    held = page.dataframe[1].value
    assert held["glioma"].to_dict() == {"north": 3, "so<i>uth": 4}
    assert held["answered"].to_dict() == {"north": 2, "so<i>uth": 0}
    assert page.dataframe[2].value["MB"].to_dict() == {"north": 2.5, "so<i>uth": 2.5}
    assert list(page.dataframe[3].value["Why"]) == ["its update is <b>far</b>"] * 2
    assert "ε = 3.5" in texts(page)
    curves = drawn(page)[1]["data"]
    assert [curve["name"] for curve in curves] == ["All sites", "north", "so&lt;i&gt;uth"]
    assert decoded(curves[0]["y"]) == [1.0, 0.5]


@pytest.mark.parametrize("figure", ["balanced", "auc"])
def test_any_figure_can_be_drawn(figure, written):
    page = opened("federated.py").selectbox(key="figure").select(figure).run()
    assert not page.exception
    names = {trace.get("name") for trace in drawn(page)[0]["data"]}
    assert ("Hospital that took no part" in names) == (figure == "auc")


def test_each_training_and_its_accuracy_can_be_looked_at(written):
    page = opened("federated.py").selectbox(key="training").select("central").run()
    page = page.button_group[0].set_value("val_accuracy").run()
    assert not page.exception
    assert decoded(drawn(page)[1]["data"][0]["y"]) == [0.6, 0.7]


def test_a_broken_file_is_one_sentence(results):
    results.write_text("{", encoding="utf-8")
    page = opened("federated.py")
    assert "write it again" in page.error[0].value
    assert not page.header
