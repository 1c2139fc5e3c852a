# An image of the command moodlemlbackend, which serves unless told otherwise: docs/deployment.md says how it is run.
FROM python:3.12-slim

COPY . /src
RUN pip install --no-cache-dir --only-binary :all: --require-hashes -r /src/requirements-all-hashed.txt \
    && pip install --no-cache-dir --no-deps --no-build-isolation /src \
    && rm -r /src \
    && useradd --system --uid 10001 moodlemlbackend \
    && install -d -m 700 -o moodlemlbackend /data /data/sites /data/analytics

ENV MOODLEMLBACKEND_SERVER_DIRECTORY=/data/sites \
    MOODLEMLBACKEND_SERVER_HOST=0.0.0.0 \
    MOODLEMLBACKEND_DIRECTORY=/data/analytics \
    PYTHONDONTWRITEBYTECODE=1

USER 10001
VOLUME /data
EXPOSE 5000
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=30s --timeout=5s --start-period=60s \
    CMD ["python", "-c", "import urllib.request as r; r.urlopen('http://127.0.0.1:5000/health/ready', timeout=4)"]
ENTRYPOINT ["moodlemlbackend"]
CMD ["serve"]
