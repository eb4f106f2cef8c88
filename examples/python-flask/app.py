import msgpack
from flask import Flask, jsonify

app = Flask(__name__)


@app.get("/")
def index():
    packed = msgpack.packb({"hello": "world"})
    return jsonify(packed=packed.hex(), compiled=msgpack.Packer.__module__ == "msgpack._cmsgpack")


@app.get("/healthz")
def healthz():
    return "ok\n", {"Content-Type": "text/plain; charset=utf-8"}
