"""Graphs of examples: Liu et al. 2019, "Knowledge Distillation via Instance Relationship Graph".

https://openaccess.thecvf.com/content_CVPR_2019/html/Liu_Knowledge_Distillation_via_Instance_Relationship_Graph_CVPR_2019_paper.html,
section 3. Vertices are examples by their logits, edges their squared distances in a layer, and a transformation is how
far each example moves from one layer to the next. All distances count in units of the largest of their batch, through
which gradient flows; the authors' Caffe layers take it for a constant.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from distill.config.options import NonNegative
from distill.errors import ConfigError
from distill.methods.adapters import as_map, embeddings, pooled
from distill.methods.base import check_same_classes, methods
from distill.methods.guided import Guided, GuidedOptions
from distill.methods.logits import logit_matching_loss
from distill.types import Batch, Output


def edge_loss(student: Tensor, teacher: Tensor) -> Tensor:
    """Mean squared difference of the squared distances of all pairs in one layer, in units of the largest, in fp32.

    It does not change when a network's features are rotated, moved or scaled.

    Args:
        student: `[batch, ...]`, a feature map or a vector of each example.
        teacher: `[batch, ...]`, of any other shape.
    """
    return F.mse_loss(_edges(student), _edges(teacher))


def transformation_loss(student: Sequence[Tensor], teacher: Sequence[Tensor]) -> Tensor:
    """Mean squared difference of how far examples move between two layers, in units of the farthest, in fp32.

    Args:
        student: An earlier and a later feature, `[batch, channels, height, width]`, tokens or `[batch, width]` each.
        teacher: Likewise, of any other shapes.
    """
    return F.mse_loss(_transformations(*student), _transformations(*teacher))


def _edges(feature: Tensor) -> Tensor:
    flat = feature.float().flatten(1)
    # Squares are expanded, as a feature map is too large for differences of all pairs; without their mean, which
    # distances do not know of, little is lost.
    flat = flat - flat.mean(dim=0)
    products = flat @ flat.t()
    squares = products.diagonal()
    distances = (squares[:, None] + squares[None, :] - 2 * products).clamp_min(0)
    return _in_units_of_largest(distances)


def _transformations(earlier: Tensor, later: Tensor) -> Tensor:
    """`[batch]` squared distances between two layers, pooled over places and channels to the smaller of both."""
    if earlier.ndim == 2 or later.ndim == 2:
        earlier, later = pooled(earlier)[:, :, None, None], pooled(later)[:, :, None, None]
    earlier, later = as_map(earlier).float(), as_map(later).float()
    channels, height, width = (min(sizes) for sizes in zip(earlier.shape[1:], later.shape[1:], strict=True))
    # Neighbouring channels are averaged as neighbouring pixels are.
    smaller = (channels, height, width)
    first, second = (F.adaptive_avg_pool3d(each[:, None], smaller).flatten(1) for each in (earlier, later))
    return _in_units_of_largest((first - second).square().sum(dim=1))


def _in_units_of_largest(distances: Tensor) -> Tensor:
    largest = distances.max()
    return distances / torch.where(largest > 0, largest, 1.0)


@dataclass(frozen=True, kw_only=True)
class IrgOptions(GuidedOptions):
    """Options of `irg`.

    Attributes:
        vertices: Weight of the squared error between logits.
        edges: Weight of the distances between examples.
        transformations: Weight of the moves between layers.
    """

    name: str = "irg"
    vertices: NonNegative = 0.1
    edges: NonNegative = 5.0
    transformations: NonNegative = 5.0


@methods.register("irg", IrgOptions)
class Irg(Guided):
    """`hard + weight * (vertices * mse + edges * edge_loss + transformations * transformation_loss)`.

    Edges are compared in the last two stages and in the embedding, transformations between those two stages.
    """

    taps = frozenset({"features", "embedding"})
    stacks = frozenset({"weight", "vertices", "edges", "transformations", "soft_weight", "T", "hard_weight"})
    smallest_batch = 2
    options: IrgOptions

    def adapt(self, student: Output, teacher: Output) -> None:
        """Checks that there is what is compared."""
        embeddings(student, teacher, self.options.name)
        check_same_classes(student.logits, teacher.logits)
        for whose, output in (("student", student), ("teacher", teacher)):
            if len(output.features) < 2:
                raise ConfigError(
                    f"method=irg compares two stages of each network, and the {whose} is read at "
                    f"{len(output.features)}: choose a deeper network, or name two modules with "
                    f"{whose}.features=[module.path,module.path]."
                )

    def distance(self, student: Output, teacher: Output, batch: Batch) -> dict[str, Tensor]:
        """The terms `vertices`, `edges` and `transformations`."""
        ours, theirs = student.features[-2:], teacher.features[-2:]
        layers = [embeddings(student, teacher, self.options.name), *zip(ours, theirs, strict=True)]
        edges = torch.stack([edge_loss(*layer) for layer in layers]).mean()
        return {
            "vertices": self.options.vertices * logit_matching_loss(student.logits, teacher.logits),
            "edges": self.options.edges * edges,
            "transformations": self.options.transformations * transformation_loss(ours, theirs),
        }
