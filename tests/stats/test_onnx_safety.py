"""A model file that refers to other files is not opened."""

import numpy as np
import pytest
from onnx import TensorProto, helper, numpy_helper

from geartrain.stats.onnx_model import OnnxModel
from geartrain.stats.onnx_safety import outside_data


def model(weight, *, nested=False, columns='["a"]'):
    value = helper.make_tensor_value_info("value", TensorProto.FLOAT, [None, 1])
    nodes = [helper.make_node("MatMul", ["features", "w"], ["value"])]
    initializer = [weight]
    if nested:
        inner = helper.make_node("Constant", [], ["w"], value=weight)
        graph = helper.make_graph(
            [inner], "then", [], [helper.make_tensor_value_info("w", TensorProto.FLOAT, [1, 1])]
        )
        nodes = [
            helper.make_node("If", ["yes"], ["v"], then_branch=graph, else_branch=graph),
            helper.make_node("MatMul", ["features", "v"], ["value"]),
        ]
        initializer = [numpy_helper.from_array(np.array(True), "yes")]
    graph = helper.make_graph(
        nodes,
        "g",
        [helper.make_tensor_value_info("features", TensorProto.FLOAT, [None, 1])],
        [value],
        initializer,
    )
    made = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    for key, text in {"task": "regression", "classes": "[]", "columns": columns}.items():
        made.metadata_props.add(key=key, value=text)
    return made.SerializeToString()


def outside(place):
    weight = TensorProto(
        name="w", data_type=TensorProto.FLOAT, dims=[1, 1], data_location=TensorProto.EXTERNAL
    )
    weight.external_data.add(key="location", value=place)
    return weight


@pytest.mark.parametrize("nested", [False, True])
def test_a_model_that_refers_outside_is_refused(tmp_path, monkeypatch, nested):
    """Even where the file is there and would fit, in the graph or in a branch of it; nothing is read."""
    (tmp_path / "secret").write_bytes(np.array([2.0], dtype=np.float32).tobytes())
    monkeypatch.chdir(tmp_path)
    content = model(outside("secret"), nested=nested)
    assert outside_data(content) == "secret"
    with pytest.raises(ValueError, match="refers to data outside of it, in 'secret'"):
        OnnxModel(content)


def test_a_column_called_location_is_no_reference():
    """The word alone, as a column's name, refuses nothing."""
    weight = numpy_helper.from_array(np.array([[2.0]], dtype=np.float32), "w")
    content = model(weight, columns='["location"]')
    assert outside_data(content) is None
    assert OnnxModel(content).columns == ("location",)
    assert OnnxModel(content).predict(np.array([[3.0]], dtype=np.float32)).values.tolist() == [[6.0]]
