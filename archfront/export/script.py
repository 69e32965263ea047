"""The script that lies beside an exported pipeline and says what is seen in pictures."""

from evaluators.tasks.task import Kind

SCRIPT = "predict.py"

TEXT = '''"""What the network beside this says of pictures: python predict.py PHOTO... (onnxruntime, numpy, pillow)."""
import json, pathlib, sys, warnings
import numpy, onnxruntime
from PIL import Image, ImageOps

warnings.simplefilter("ignore")
session = onnxruntime.InferenceSession(str(pathlib.Path(__file__).with_name("pipeline.onnx")))
names = json.loads(session.get_modelmeta().custom_metadata_map.get("names", "[]"))
failed = False
for file in sys.argv[1:]:
    try:
        picture = ImageOps.exif_transpose(Image.open(file))
        picture = picture.point(lambda value: value / 256).convert("L") if picture.mode[0] == "I" else picture
        values = session.run(None, {"inputs": numpy.asarray(picture.convert("RGB"))[None]})[0][0]
        print(f"{file}:", ", ".join(f"{names[i] if names else i} {values[i]:.@FORMAT@}" for i in @ORDER@))
    except Exception as error:
        print(f"{file}: can't be read as a picture: {error}", file=sys.stderr)
        failed = True
sys.exit(failed)
'''
ORDERS = {"categorical": "numpy.argsort(-values, kind='stable')[:5]", "binary": "numpy.argsort(-values, kind='stable')"}


def script(kind: Kind) -> str:
    """The text of the script: the five likeliest classes, all labels by probability, or the numbers."""
    return TEXT.replace("@ORDER@", ORDERS.get(kind, "range(len(values))")).replace(
        "@FORMAT@", "6g" if kind == "numeric" else "4f"
    )
