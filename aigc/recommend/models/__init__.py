"""Item–item models: each turns interactions into top-K lists that the Engine scores by."""

from aigc.recommend.models.base import ItemItemLists, ItemItemModel
from aigc.recommend.models.ease import Ease
from aigc.recommend.models.item_knn import ItemKnn

__all__ = ["Ease", "ItemItemLists", "ItemItemModel", "ItemKnn"]
