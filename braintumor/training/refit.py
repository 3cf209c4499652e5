"""``braintumor refit``: choose a bundle's thresholds again, on hospitals that its network never saw."""

from braintumor.bundles import Bundle, Card
from braintumor.datasets import at_home
from braintumor.errors import InputError
from braintumor.training.experiment import index_digest, labelled_index, prepare_pictures, split_again
from braintumor.training.options import RefitOptions
from braintumor.training.run import split_facts
from braintumor.training.stacks import StackSource
from braintumor.training.write_bundle import refit_bundle


def refit(bundle: Bundle, options: RefitOptions) -> Card:
    """Refit a bundle in its place and give its new card.

    The network, its training and its split stay. Raises ``InputError`` where the folder does not hold the data that it
    was trained on, or an institution it was trained on is held out, and ``DatasetError`` for data that cannot be used.
    """
    split = bundle.card.split
    trained = set() if split.hospitals is None else set(split.hospitals.train)
    seen = sorted(trained & {*options.hospitals.validation, *options.hospitals.test})
    if seen:
        raise InputError(f"{bundle.name} was trained on {seen[0]}; hold out hospitals that it never saw.")
    told = split.model_dump()
    index = split_again(labelled_index(options.data, bundle.card.modality), told, options.hospitals)
    # What is neither held out nor was trained on has no part in this.
    index.loc[~at_home(index) & (index["split"] == "train") & ~index["hospital"].isin(trained), "split"] = ""
    index = index[index["split"] != ""].reset_index(drop=True)
    if index_digest(index[at_home(index)]) != split.index_sha256:
        raise InputError(f"{options.data} is not the data that {bundle.name} was trained on; name that folder.")
    data = prepare_pictures(options.data, index, bundle.size, options.runs / f"refit-{bundle.card.name}")
    data = data if bundle.kinds else data.without_kinds()
    facts = {
        "version": options.version,
        "refitted_by": options.command,
        "split": split_facts(index, told, options.hospitals, trained),
    }
    sensitivity = bundle.card.operating_point.chosen_for_sensitivity
    source = StackSource(options.data, options.tumor_free)
    return refit_bundle(bundle, data, bundle.folder, facts, sensitivity, source)
