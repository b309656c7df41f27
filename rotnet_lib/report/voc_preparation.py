"""What a VOC notebook shows of how its backbone was prepared."""

from IPython.display import HTML

from rotnet_lib.report.fragments import fragment
from rotnet_lib.voc.new_layers import START_STD
from rotnet_lib.voc.preparation import PreparationRecord


def preparation_summary(record: PreparationRecord) -> HTML:
    """What was done to the backbone, and each layer's ratio of gradient to weight before and after, for a notebook cell."""
    rows = [(layer.name, *map(_figure, (layer.before, layer.after, layer.scale))) for layer in record.layers]
    return HTML(fragment("preparation.html.j2", sentence=preparation_sentence(record), rows=rows))


def preparation_sentence(record: PreparationRecord) -> str:
    """What was done, with the figures it comes down to, and whose fc6 and fc7 they are."""
    return f"{_measures(record)} {_origin(record)}"


def _measures(record: PreparationRecord) -> str:
    folded = (
        f"Batch norm was folded into the weights: outputs differ by at most {record.fold_error:.1g} of their spread, on "
        f"{record.images} images. "
    )
    if not record.layers:
        return folded + "The weights were not rescaled."
    before = _range([layer.before for layer in record.layers])
    after = _range([layer.after for layer in record.layers])
    rounds = "1 round" if record.rounds == 1 else f"{record.rounds} rounds"
    return folded + (
        f"The weights were rescaled in {rounds}, so that all layers learn at the same rate: the ratios of gradient to weight "
        f"are between {after}; before, they were between {before}."
    )


def _origin(record: PreparationRecord) -> str:
    if not record.fresh:
        return "fc6 and fc7 are the backbone's own."
    them = "it" if len(record.fresh) == 1 else "them"
    new = " and ".join(record.fresh)
    return f"{new} started afresh, from N(0, {START_STD:g}): the backbone's weights do not have {them}."


def _range(values: list[float]) -> str:
    return f"{_figure(min(values))} and {_figure(max(values))}"


def _figure(value: float) -> str:
    """Three digits, and no exponent for what is large: `0.5`, `63.5`, `1,250`."""
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.3g}"
