# An image of the server: docs/server.md says how it is run. Users come from MOODLEMLBACKEND_SERVER_USERS.
FROM python:3.12-slim

COPY . /src
RUN pip install --no-cache-dir -c /src/requirements-all.txt "/src[all]" \
    && rm -r /src \
    && useradd --system --uid 10001 moodlemlbackend \
    && install -d -o moodlemlbackend /models

ENV MOODLEMLBACKEND_SERVER_DIRECTORY=/models \
    MOODLEMLBACKEND_SERVER_HOST=0.0.0.0 \
    PYTHONDONTWRITEBYTECODE=1

USER 10001
VOLUME /models
EXPOSE 5000
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=30s --timeout=5s --start-period=60s \
    CMD ["python", "-c", "import urllib.request as r; r.urlopen('http://127.0.0.1:5000/health/ready', timeout=4)"]
ENTRYPOINT ["moodlemlbackend", "serve"]
